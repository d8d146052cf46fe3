import assert from "node:assert/strict";
import plugin from "./lint_layers.ts";

/** The complaints about one module of `src` with this text. */
function complaints(path: string, text: string): string[] {
  const file = new URL(`../src/${path}`, import.meta.url).pathname;
  return Deno.lint.runPlugin(plugin, file, text).map((diagnostic) => diagnostic.message);
}

Deno.test("layers: each way to name another module is seen", () => {
  const forms = [
    'import { a } from "../ops/a.ts";',
    'import "../ops/a.ts";',
    'import type { A } from "../ops/a.ts";',
    'import { type A } from "../ops/a.ts";',
    'export { a } from "../ops/a.ts";',
    'export type { A } from "../ops/a.ts";',
    'export * from "../ops/a.ts";',
    'export const a = await import("../ops/a.ts");',
    'export type A = import("../ops/a.ts").A;',
  ];
  for (const form of forms) {
    assert.deepEqual(
      complaints("stream/x.ts", form),
      ["stream must not import ops (../ops/a.ts)"],
      form,
    );
    assert.deepEqual(complaints("cli/x.ts", form), [], form);
  }
});

Deno.test("layers: what is allowed passes", () => {
  const allowed: [string, string][] = [
    ["core/x.ts", "./error.ts"],
    ["core/x.ts", "valibot"],
    ["sql/session.ts", "@duckdb/node-api"],
    ["sql/deep/session.ts", "../../core/error.ts"],
    ["stream/x.ts", "../config/y.ts"],
    ["connectors/kafka/mod.ts", "../../formats/json.ts"],
    ["connectors/postgres/mod.ts", "../_sql/copy.ts"],
    ["connectors/postgres/mod.ts", "./copy.ts"],
    ["connectors/mod.ts", "./kafka/mod.ts"],
    ["app.ts", "./connectors/mod.ts"],
    ["mod.ts", "./app.ts"],
    ["stream/x_test.ts", "../connectors/memory/mod.ts"],
  ];
  for (const [path, specifier] of allowed) {
    assert.deepEqual(
      complaints(path, `import ${JSON.stringify(specifier)};`),
      [],
      `${path} ${specifier}`,
    );
  }
});

Deno.test("layers: what is not allowed is named", () => {
  const refused: [string, string, string][] = [
    ["core/x.ts", "../sql/y.ts", "core must not import sql (../sql/y.ts)"],
    ["core/x.ts", "node:fs", "core must not import node:fs"],
    ["config/x.ts", "../sql/y.ts", "config must not import sql (../sql/y.ts)"],
    ["stream/x.ts", "@duckdb/node-api", "stream must not import @duckdb/node-api"],
    ["app.ts", "npm:@duckdb/node-api@1.5.6/lib/x.js", "app.ts must not import @duckdb/node-api"],
    [
      "connectors/kafka/x.ts",
      "../postgres/y.ts",
      "connectors/kafka must not import connectors/postgres (../postgres/y.ts)",
    ],
    [
      "connectors/kafka/x.ts",
      "../mod.ts",
      "connectors/kafka must not import connectors/mod.ts (../mod.ts)",
    ],
    [
      "connectors/_sql/x.ts",
      "../postgres/y.ts",
      "connectors/_sql must not import connectors/postgres (../postgres/y.ts)",
    ],
    ["batch/x.ts", "../stream/y.ts", "batch must not import stream (../stream/y.ts)"],
    ["plan/x.ts", "../app.ts", "plan must not import app.ts (../app.ts)"],
    [
      "stream/x.ts",
      "../../scripts/services.ts",
      "stream imports ../../scripts/services.ts, which is outside of src",
    ],
    ["stream/x.ts", "flow", 'only users\' modules import "flow"'],
    ["misc/x.ts", "../core/error.ts", "src/misc/x.ts belongs to no layer"],
    ["connectors/loose.ts", "../core/error.ts", "src/connectors/loose.ts belongs to no layer"],
  ];
  for (const [path, specifier, message] of refused) {
    assert.deepEqual(complaints(path, `import ${JSON.stringify(specifier)};`), [message]);
  }
});
