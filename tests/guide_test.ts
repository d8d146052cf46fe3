/** The documentation against the program: keys, codes, flags, metrics and examples that are there, and only those. */
import { parse } from "@std/toml";
import assert from "node:assert/strict";
import { loadDefinitions } from "../src/config/definitions.ts";
import { exitCodeOf } from "../src/cli/exit_code.ts";
import { connectors } from "../src/connectors/mod.ts";
import { FlowError } from "../src/core/error.ts";
import { planStream } from "../src/plan/plan.ts";
import { StreamMetrics } from "../src/ops/metrics.ts";
import { errorCodes } from "../scripts/error_codes.ts";
import { keysPage } from "../scripts/guide_keys.ts";

const ROOT = new URL("../", import.meta.url).pathname;

const read = (path: string) => Deno.readTextFile(ROOT + path);

/** All Markdown that users read, by path from the root. */
async function pages(): Promise<ReadonlyMap<string, string>> {
  const paths = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/README.md",
    "docs/cli.md",
    "examples/README.md",
  ];
  for await (const { name } of Deno.readDir(`${ROOT}docs/guide`)) paths.push(`docs/guide/${name}`);
  return new Map(await Promise.all(paths.map(async (path) => [path, await read(path)] as const)));
}

/** The lines that say something, without what `deno fmt` decides: line breaks in texts, and the width of tables. */
function rowsOf(page: string): string[] {
  return page.split("\n").filter((line) => /^(\| [`*]|## )/.test(line))
    .map((line) => line.replaceAll(/\s+/g, " "));
}

Deno.test("the page of all keys is what the schemas say", async () => {
  const [written, made] = [rowsOf(await read("docs/guide/keys.md")), rowsOf(keysPage())];
  const hint = "run: deno run -A scripts/guide_keys.ts && deno fmt docs/guide/keys.md";
  assert.deepEqual(
    made.filter((row) => !written.includes(row)),
    [],
    `the page lacks these; ${hint}`,
  );
  assert.deepEqual(written, made, hint);
});

Deno.test("every error code is explained, with its exit code, and no other", async () => {
  const explained = new Map(
    [...(await read("docs/guide/errors.md")).matchAll(/^\| `([a-z_]+)`\s*\| ([\d or]+?)\s*\|/gm)]
      .map((
        [, code = "", exit = ""],
      ) => [code, exit]),
  );
  const codes = [...(await errorCodes()).keys()];
  assert.deepEqual(codes.filter((code) => !explained.has(code)), [], "codes that errors.md lacks");
  assert.deepEqual(
    [...explained.keys()].filter((code) => !codes.includes(code)),
    [],
    "no such code",
  );
  for (const [code, exit] of explained) {
    const possible = (["user", "external", "internal"] as const).map((domain) =>
      String(exitCodeOf(new FlowError("", { code, domain })))
    );
    for (const one of exit.split(" or ")) {
      assert.ok(possible.includes(one), `${code} cannot end with ${one}, but with ${possible}`);
    }
  }
});

Deno.test("every metric is explained, and no other", async () => {
  const explained = [...(await read("docs/guide/metrics.md")).matchAll(/^\| `(ematix_\w+)`/gm)]
    .map(([, name = ""]) => name);
  const { registry } = new StreamMetrics();
  const there = registry.getMetricsAsArray().map(({ name }) => name);
  assert.deepEqual(explained.toSorted(), there.toSorted());
});

Deno.test("pipelines in the documentation are valid, and can be planned", async () => {
  let count = 0;
  for (const [path, text] of await pages()) {
    for (const [, toml = ""] of text.matchAll(/^```toml\n([\s\S]*?)^```/gm)) {
      if (!toml.startsWith("pipeline_name") && !/^#.*\npipeline_name/.test(toml)) continue;
      const definitions = await loadDefinitions(
        { from: "toml_text", text: toml, name: path },
        {
          connectors,
          env: (name) =>
            name.startsWith("EMATIX")
              ? undefined
              : name === "WAREHOUSE_DSN"
              ? "postgres://a@b/c"
              : "host:1",
          envNames: () => [],
          readFile: () => Promise.resolve(undefined),
          home: () => undefined,
        },
      );
      planStream(await definitions.streaming(), connectors);
      count += 1;
    }
  }
  assert.ok(count >= 9, `only ${count} pipelines were found`);
});

Deno.test("declared pipelines in the documentation are valid, all tables included", async () => {
  let count = 0;
  for (const [path, text] of await pages()) {
    for (const [, toml = ""] of text.matchAll(/^```toml\n([\s\S]*?)^```/gm)) {
      if (!toml.includes("[[pipeline]]")) continue;
      const definitions = await loadDefinitions(
        { from: "toml_text", text: toml, name: path },
        {
          connectors,
          env: (name) =>
            name.startsWith("EMATIX") || name.endsWith("DSN") ? "postgres://a@b/c" : "x",
          envNames: () => [],
          readFile: () => Promise.resolve(undefined),
          home: () => undefined,
        },
      );
      count += (await definitions.batchAll()).length;
    }
  }
  assert.ok(count >= 6, `only ${count} pipelines were found`);
});

Deno.test("TypeScript in the documentation passes the type checker, and TOML the parser", async () => {
  const all = await pages();
  for (const [path, text] of all) {
    for (const [, toml = ""] of text.matchAll(/^```toml\n([\s\S]*?)^```/gm)) {
      assert.doesNotThrow(() => parse(toml), `${path}:\n${toml}`);
    }
  }
  const command = new Deno.Command(Deno.execPath(), {
    args: ["check", "--doc-only", ...all.keys()],
    cwd: ROOT,
    stdin: "null",
  });
  const { success, stderr } = await command.output();
  assert.ok(success, new TextDecoder().decode(stderr));
});

Deno.test("links between pages lead somewhere", async () => {
  for (const [path, text] of await pages()) {
    for (const [, target = ""] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const url = new URL(target, `file://${ROOT}${path}`);
      assert.ok(await Deno.stat(url).then(() => true, () => false), `${path} links to ${target}`);
    }
  }
});

Deno.test("the README is short enough, and names its two commands", async () => {
  const text = await read("README.md");
  assert.ok(text.split("\n").length < 200);
  const [first, second] = [...text.matchAll(/^npx --yes deno@\S+ task (\w+)$/gm)].map(([, task]) =>
    task
  );
  assert.deepEqual([first, second], ["demo", "test"]);
});
