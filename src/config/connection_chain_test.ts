import assert from "node:assert/strict";
import type { RawDefinition } from "../core/request.ts";
import { Secret } from "../core/secret.ts";
import { errorOf } from "./definition_fixtures.ts";
import { type Definitions, loadDefinitions } from "./definitions.ts";
import { fakeConnectors } from "./fake_connectors.ts";
import { fakeHost, type FakeHostContent } from "./fake_host.ts";

const LOCAL = "/cwd/.ematix-flow.toml";
const HOME = "/tmp-home/.ematix-flow/connections.toml";

function load(
  content: FakeHostContent,
  definitions: readonly RawDefinition[] = [],
): Promise<Definitions> {
  return loadDefinitions({ from: "module", module: "m.ts", definitions }, {
    connectors: fakeConnectors,
    ...fakeHost(content),
  });
}

function registered(name: string, url: string): RawDefinition {
  return {
    kind: "connection",
    name,
    value: { kind: "postgres", url },
    origin: { file: "/app/m.ts", line: 2, column: 1 },
  };
}

async function urlOf(definitions: Definitions, name: string): Promise<string> {
  const { url } = (await definitions.connection(name)).options;
  assert.ok(url instanceof Secret);
  return url.reveal();
}

const table = (name: string, rest: string) => `[connections.${name}]\n${rest}\n`;

Deno.test("the chain: variable, file of the directory, file of the user, module", async () => {
  const definitions = [registered("warehouse", "postgres://module/d")];
  const files = {
    [HOME]: table("warehouse", 'url = "postgres://home/d"'),
    [LOCAL]: table("warehouse", 'dsn = "postgres://local/d"'),
  };
  const env = { EMATIX_FLOW_DSN_WAREHOUSE: "postgres://env/d" };
  assert.equal(
    await urlOf(await load({ env, files }, definitions), "warehouse"),
    "postgres://env/d",
  );
  assert.equal(await urlOf(await load({ files }, definitions), "warehouse"), "postgres://local/d");
  const { [LOCAL]: _local, ...home } = files;
  assert.equal(
    await urlOf(await load({ files: home }, definitions), "warehouse"),
    "postgres://home/d",
  );
  assert.equal(await urlOf(await load({}, definitions), "warehouse"), "postgres://module/d");
});

Deno.test("the variable's name is the connection's in capitals; EMATIX_FLOW_DSN is for default alone", async () => {
  const env = { EMATIX_FLOW_DSN_RAW_DB_2: "postgres://raw/d", EMATIX_FLOW_DSN: "postgres://def/d" };
  assert.equal(await urlOf(await load({ env }), "raw-db.2"), "postgres://raw/d");
  assert.equal(await urlOf(await load({ env }), "default"), "postgres://def/d");
  const both = { ...env, EMATIX_FLOW_DSN_DEFAULT: "postgres://special/d" };
  assert.equal(await urlOf(await load({ env: both }), "default"), "postgres://special/d");
  assert.equal(
    (await errorOf((await load({ env })).connection("other"))).code,
    "connection_not_found",
  );
});

Deno.test("names that differ only in what a variable's name cannot hold are listed each, as they are found", async () => {
  const files = {
    [LOCAL]: table("raw-db", 'url = "postgres://dash/d"') +
      table("raw_db", 'url = "postgres://line/d"'),
  };
  const listed = async (content: FakeHostContent) =>
    (await (await load(content)).connections()).map(({ name, shown }) => [name, shown]);
  const definitions = await load({ files });
  assert.equal(await urlOf(definitions, "raw-db"), "postgres://dash/d");
  assert.equal(await urlOf(definitions, "raw_db"), "postgres://line/d");
  assert.deepEqual(await listed({ files }), [
    ["raw_db", "postgres://line/d"],
    ["raw-db", "postgres://dash/d"],
  ]);
  // The variable goes before both.
  const env = { EMATIX_FLOW_DSN_RAW_DB: "postgres://env/d" };
  assert.equal(await urlOf(await load({ env, files }), "raw-db"), "postgres://env/d");
  assert.deepEqual(await listed({ env, files }), [["raw_db", "postgres://env/d"]]);
});

Deno.test("a file that stands before a connection of the pipeline's own is told of, once", async () => {
  const definitions = [
    registered("a", "postgres://u:pw1@module/d"),
    registered("b", "postgres://b/d"),
  ];
  const files = {
    [LOCAL]: table("a", 'kind = "postgres"\nurl = "postgres://u:pw2@local/d"'),
    [HOME]: table("b", 'kind = "postgres"\nurl = "postgres://b/d"'),
  };
  const loaded = await load({ files }, definitions);
  assert.equal(await urlOf(loaded, "a"), "postgres://u:pw2@local/d");
  await urlOf(loaded, "a");
  // The one that says the same is nothing to tell of.
  await urlOf(loaded, "b");
  assert.deepEqual(loaded.notices, [
    "connection 'a' is taken from ./.ematix-flow.toml:1:1, which goes before the one of this name at /app/m.ts:2:1",
  ]);
  const env = { EMATIX_FLOW_DSN_A: "postgres://env/d" };
  const overridden = await load({ files: {}, env }, definitions);
  assert.equal(await urlOf(overridden, "a"), "postgres://env/d");
  assert.deepEqual(overridden.notices, []);
});

Deno.test("the places of a connection in two files are told", async () => {
  const text = '[connections.dw]\nkind = "postgres"\nurl = "postgres://file/d"\n' +
    '[[pipeline]]\nname = "p"\ntarget = { name = "t" }\nsource = "SELECT 1"\n';
  const loaded = await loadDefinitions({ from: "toml_text", name: "p.toml", text }, {
    connectors: fakeConnectors,
    ...fakeHost({ files: { [HOME]: `\n${table("dw", 'url = "postgres://home/d"')}` } }),
  });
  assert.equal(await urlOf(loaded, "dw"), "postgres://home/d");
  assert.deepEqual(loaded.notices, [
    "connection 'dw' is taken from ~/.ematix-flow/connections.toml:2:1, which goes before the one of this name at p.toml:1:1",
  ]);
});

Deno.test("a variable holds the URL itself: nothing in it is filled in", async () => {
  const env = { EMATIX_FLOW_DSN_A: "postgres://u:p${HOME}$${x@h/d" };
  assert.equal(await urlOf(await load({ env }), "a"), "postgres://u:p${HOME}$${x@h/d");
});

Deno.test("variables are filled in when a connection is used, not when it is listed", async () => {
  const files = {
    [HOME]: table("a", 'url = "postgres://u:${PW}@${HOST}/d$${x}"') +
      table("b", 'kind = "kafka"\nbootstrap_servers = "${BROKERS}"\nsasl_plain_password = "${PW}"'),
  };
  const definitions = await load({ files, env: { PW: "p4ssword", HOST: "h" } });
  assert.equal(await urlOf(definitions, "a"), "postgres://u:p4ssword@h/d${x}");
  assert.deepEqual(await definitions.connections(), [
    {
      name: "a",
      kind: "postgres",
      shown: "postgres://u:***@${HOST}/d${x}",
      from: "~/.ematix-flow/connections.toml",
    },
    {
      name: "b",
      kind: "kafka",
      shown: "bootstrap_servers=${BROKERS} sasl_plain_password=${PW}",
      from: "~/.ematix-flow/connections.toml",
    },
  ]);
  const unset = await errorOf(definitions.connection("b"));
  assert.equal(
    unset.message,
    "~/.ematix-flow/connections.toml:5:1: connections.b.bootstrap_servers: " +
      "the environment variable BROKERS, used by connection 'b', is not set",
  );
  assert.equal(unset.hint, "set BROKERS, or write the value here");
});

Deno.test("a variable that may not be read is told with its flag, and so is a malformed reference", async () => {
  const files = { [LOCAL]: table("a", 'url = "postgres://u:${PW}@h/d"') };
  const denied = await errorOf((await load({ files, denied: ["PW"] })).connection("a"));
  assert.match(denied.message, /PW, used by connection 'a', may not be read/);
  assert.equal(denied.hint, "start flow with --allow-env=PW");
  // A url that says of which kind the connection is.
  const whole = { [LOCAL]: table("w", 'url = "${PW}"') };
  const unread = await errorOf((await load({ files: whole, denied: ["PW"] })).connection("w"));
  assert.match(unread.message, /w\.url: .*PW, used by connection 'w', may not be read$/);
  assert.equal(unread.hint, "start flow with --allow-env=PW");
  const unset = await errorOf((await load({ files: whole })).connection("w"));
  assert.match(unset.message, /w\.url: .*PW, used by connection 'w', is not set$/);
  const odd = { [LOCAL]: table("a", 'url = "postgres://u:${p w}@h/d"') };
  const malformed = await errorOf((await load({ files: odd })).connection("a"));
  assert.match(malformed.message, /not followed by the name of an environment variable/);
});

Deno.test("a name that is nowhere is told with every place that was looked at, and near names", async () => {
  const files = { [LOCAL]: table("warehouse", 'url = "postgres://h/d"') };
  const error = await errorOf((await load({ files })).connection("warehose"));
  assert.equal(error.code, "connection_not_found");
  assert.equal(
    error.message,
    "connection 'warehose' is not configured. Looked for env var EMATIX_FLOW_DSN_WAREHOSE, ./.ematix-flow.toml, " +
      "~/.ematix-flow/connections.toml, connections registered by modules",
  );
  assert.equal(error.hint, "did you mean warehouse?");
});

Deno.test("places that may not be looked at are passed over, and named when nothing is found", async () => {
  const content = { denied: ["EMATIX_FLOW_DSN_A", LOCAL, HOME] };
  assert.equal(
    await urlOf(await load(content, [registered("a", "postgres://module/d")]), "a"),
    "postgres://module/d",
  );
  const error = await errorOf((await load(content)).connection("a"));
  assert.equal(
    error.hint,
    "some places may not be read: start flow with --allow-env=EMATIX_FLOW_DSN_A " +
      `--allow-read=${LOCAL} --allow-read=${HOME}`,
  );
});

Deno.test("connections of files are validated, with file and line", async () => {
  const files = {
    [HOME]:
      '[connections.a]\nkind = "kafka"\nbootstap_servers = "b"\n[connections.b]\nkind = "mongo"\n' +
      '[connections.c]\nurl = "postgres://h/d"\ndsn = "postgres://h/d"\n[connections.d]\nx = 1\n',
  };
  const definitions = await load({ files });
  const a = await errorOf(definitions.connection("a"));
  assert.match(a.message, /connections\.toml:1:1: connections\.a\.bootstrap_servers: required/);
  assert.match(
    a.message,
    /connections\.toml:3:1: connections\.a\.bootstap_servers: unknown key \(did you mean bootstrap_servers\?\)/,
  );
  assert.match(
    (await errorOf(definitions.connection("b"))).message,
    /:5:1: .*unknown kind "mongo"/,
  );
  assert.match(
    (await errorOf(definitions.connection("c"))).message,
    /:8:1: .*url and dsn mean the same/,
  );
  assert.match(
    (await errorOf(definitions.connection("d"))).message,
    /:9:1: .*nothing says what kind/,
  );
  const stray = await errorOf(
    (await load({ files: { [LOCAL]: '[connection.a]\nurl = "x"\n' } })).connection("a"),
  );
  assert.match(stray.message, /^\.\/\.ematix-flow\.toml:1:1: connection: unknown key/);
  assert.equal(stray.hint, "did you mean connections?");
});

Deno.test("a pipeline's block goes over its connection's keys; keys of the other use are left out", async () => {
  const files = {
    [LOCAL]: table(
      "k",
      'kind = "kafka"\nbootstrap_servers = "b:1"\ngroup_id = "g"\nmessage_key_column = "id"',
    ),
  };
  const text =
    'pipeline_name = "p"\nsource_query = "q"\n[source]\nconnection = "k"\ngroup_id = "h"\n' +
    '[target]\nconnection = "k"\n';
  const definitions = await loadDefinitions({ from: "toml_text", text, name: "p.toml" }, {
    connectors: fakeConnectors,
    ...fakeHost({ files }),
  });
  const spec = await definitions.streaming();
  assert.deepEqual(spec.sources[0]?.options, {
    bootstrap_servers: "b:1",
    tls: false,
    group_id: "h",
    auto_offset_reset: "earliest",
    payload_format: "json",
  });
  assert.deepEqual(spec.targets[0]?.options, {
    bootstrap_servers: "b:1",
    tls: false,
    message_key_column: "id",
  });
});

Deno.test("two connections of one name: the same one twice is fine, different ones are an error where the name is used", async () => {
  const same = [registered("a", "postgres://h/1"), registered("a", "postgres://h/1")];
  assert.equal(await urlOf(await load({}, same), "a"), "postgres://h/1");
  const other = await load({}, [...same, registered("a", "postgres://h/2")]);
  assert.match(
    (await errorOf(other.connection("a"))).message,
    /named 'a' is defined twice, differently/,
  );
  assert.equal((await other.connections()).length, 1);
});

Deno.test("a file with literal passwords that everybody may read is worth a notice", async () => {
  const noticesOf = async (url: string, readableByOthers: boolean) => {
    const definitions = await load({
      files: { [HOME]: table("a", `url = "${url}"`) },
      readableByOthers,
    });
    await definitions.connection("a").catch(() => undefined);
    return definitions.notices;
  };
  assert.match((await noticesOf("postgres://u:pw@h/d", true))[0] ?? "", /chmod 600/);
  assert.deepEqual(await noticesOf("postgres://u:pw@h/d", false), []);
  assert.deepEqual(await noticesOf("postgres://u:${PW}@h/d", true), []);
  assert.deepEqual(await noticesOf("postgres://h/d", true), []);
});
