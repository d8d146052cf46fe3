import assert from "node:assert/strict";
import type { DefinitionInput } from "../core/request.ts";
import { redactUrl } from "../core/secret.ts";
import { loadDefinitions } from "./definitions.ts";
import { fakeConnectors } from "./fake_connectors.ts";
import { fakeHost, type FakeHostContent } from "./fake_host.ts";

/** No test registers it with flow in another way than the one that it is about. */
let planted = 0;

const HEAD = 'pipeline_name = "p"\nsource_query = "q"\n';
const SOURCE = '[source]\nkind = "kafka"\nbootstrap_servers = "b:1"\n';
const TARGET = '[target]\nkind = "postgres"\nurl = "postgres://h/d"\ntable = { name = "t" }\n';
const LOCAL = "/cwd/.ematix-flow.toml";

/** Where a password may stand in a definition, right or wrong; `PW` is the password. */
const PLACES: Readonly<Record<string, { readonly toml: string; readonly host?: FakeHostContent }>> =
  {
    "a URL": { toml: HEAD + SOURCE + TARGET.replace("//h", "//u:PW@h") },
    "a URL beside an unknown key": {
      toml: `${HEAD}${SOURCE}${TARGET.replace("//h", "//u:PW@h")}bogus = 1\n`,
    },
    "a URL under an unknown kind": {
      toml: HEAD + SOURCE + TARGET.replace('"postgres"', '"postgrs"').replace("//h", "//u:PW@h"),
    },
    "a URL with a scheme that nobody knows": {
      toml: `${HEAD}${SOURCE}[target]\nurl = "mystery://u:PW@h/d"\n`,
    },
    "a URL's parameter": { toml: HEAD + SOURCE + TARGET.replace("/d", "/d?password=PW") },
    "a secret option": { toml: `${HEAD}${SOURCE}sasl_plain_password = "PW"\nbogus = 1\n${TARGET}` },
    "a misspelled secret option": { toml: `${HEAD}${SOURCE}sasl_plain_pasword = "PW"\n${TARGET}` },
    "a secret option of the wrong type": {
      toml: `${HEAD}${SOURCE}sasl_plain_password = ["PW"]\n${TARGET}`,
    },
    "a block with a wrong key": { toml: `${HEAD}${SOURCE}sasl = { password = "PW" }\n${TARGET}` },
    "a text without its end": { toml: `${HEAD}${SOURCE}sasl_plain_password = "PW\n${TARGET}` },
    "a text given twice": {
      toml: `${HEAD}${SOURCE}sasl_plain_password = "PW"\nsasl_plain_password = "PW"\n${TARGET}`,
    },
    "a name of a connection that is a URL": {
      toml:
        `${HEAD}${SOURCE}[target]\nconnection = "postgres://u:PW@h/d"\ntable = { name = "t" }\n`,
    },
    "a variable in a URL": {
      toml: `${HEAD}${SOURCE}${TARGET.replace("//h", "//u:${V}@h")}bogus = 1\n`,
      host: { env: { V: "PW" } },
    },
    "a variable in an option that is no secret": {
      toml: `${HEAD}${SOURCE}auto_offset_reset = "\${V}"\n${TARGET}`,
      host: { env: { V: "PW" } },
    },
    "a variable in a check with a message of its own": {
      toml:
        `${HEAD}${SOURCE}[target]\nkind = "object_store_local"\npath = "d"\ncsv_delimiter = "\${V}"\n`,
      host: { env: { V: "PW" } },
    },
    "a variable as the whole URL": {
      toml: `${HEAD}${SOURCE}[target]\nurl = "\${V}"\n`,
      host: { env: { V: "mystery://u:PW@h/d" } },
    },
    "a variable of the chain": {
      toml: `${HEAD}${SOURCE}[target]\nconnection = "w"\npol = 3\n`,
      host: { env: { EMATIX_FLOW_DSN_W: "postgres://u:PW@h/d" } },
    },
    "a variable of the chain without a known scheme": {
      toml: `${HEAD}${SOURCE}[target]\nconnection = "w"\n`,
      host: { env: { EMATIX_FLOW_DSN_W: "u:PW@h/d" } },
    },
    "a file of connections": {
      toml: `${HEAD}${SOURCE}[target]\nconnection = "w"\n`,
      host: { files: { [LOCAL]: '[connections.w]\nurl = "postgres://u:PW@h/d"\npol = 3\n' } },
    },
    "a broken file of connections": {
      toml: `${HEAD}${SOURCE}[target]\nconnection = "w"\n`,
      host: { files: { [LOCAL]: '[connections.w]\npassword = "PW\nurl = 1\n' } },
    },
    "a file of connections without a table": {
      toml: `${HEAD}${SOURCE}[target]\nconnection = "w"\n`,
      host: { files: { [LOCAL]: '[connections]\nw = "postgres://u:PW@h/d"\n' } },
    },
  };

for (const [place, { toml, host = {} }] of Object.entries(PLACES)) {
  Deno.test(`a password in ${place} is never shown`, async () => {
    const password = `pl4nted-${planted += 1}-xyz`;
    const plant = (text: string) => text.replaceAll("PW", password);
    const content: FakeHostContent = {
      ...host,
      env: Object.fromEntries(
        Object.entries(host.env ?? {}).map(([name, value]) => [name, plant(value)]),
      ),
      files: Object.fromEntries(
        Object.entries(host.files ?? {}).map(([name, value]) => [name, plant(value)]),
      ),
    };
    const input: DefinitionInput = { from: "toml_text", text: plant(toml), name: "p.toml" };
    const shown: unknown[] = [];
    try {
      const definitions = await loadDefinitions(input, {
        connectors: fakeConnectors,
        ...fakeHost(content),
      });
      shown.push(definitions, definitions.list());
      await definitions.connections().then(
        (list) => shown.push(list),
        (error) => shown.push(error),
      );
      shown.push(await definitions.streaming());
    } catch (error) {
      shown.push(error);
    }
    assert.ok(shown.length > 0);
    for (const value of shown) {
      for (let at = value; at !== undefined; at = at instanceof Error ? at.cause : undefined) {
        const texts = [
          Deno.inspect(at, { depth: 20, showHidden: true }),
          JSON.stringify(at) ?? "",
          String(at),
          at instanceof Error ? `${at.message} ${at.stack}` : "",
          typeof at === "object" && at !== null && "toData" in at
            ? JSON.stringify((at as { toData(): unknown }).toData())
            : "",
        ];
        for (const text of texts) {
          assert.ok(!text.toLowerCase().includes(password), text);
          assert.ok(!text.toLowerCase().includes(password.replaceAll("-", "_")), text);
        }
      }
    }
  });
}

Deno.test("a listed URL shows no password, whatever characters it has", () => {
  for (
    const [url, shown] of [
      ["postgres://h/d", "postgres://h/d"],
      ["postgres://u@h/d", "postgres://u@h/d"],
      ["postgres://u:p@h/d", "postgres://u:***@h/d"],
      ["postgres://u:p/w@h/d", "postgres://u:***@h/d"],
      ["postgres://u:p@w'\"x@h/d", "postgres://u:***@h/d"],
      ["postgres://u:p w@h/d?x=1&password=zz&y=2", "postgres://u:***@h/d?x=1&password=***&y=2"],
      ["${DSN}", "${DSN}"],
      ["user:secret", "***"],
      ["no url at all", "***"],
    ] as const
  ) {
    assert.equal(redactUrl(url), shown);
  }
});
