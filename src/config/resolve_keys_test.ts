import assert from "node:assert/strict";
import type { DeclaredTable } from "../core/table_spec.ts";
import { resolveKeys } from "./resolve_keys.ts";

const EVERYTHING: DeclaredTable = {
  ref: { name: "t" },
  columns: [],
  primaryKey: ["id"],
  naturalKey: ["email"],
  uniqueGroups: [["a", "b"], ["c"]],
  mergeKeys: ["code"],
};

Deno.test("keys come from the first place that has some", () => {
  const resolved = (keys: readonly string[], less: Partial<DeclaredTable>) =>
    resolveKeys({ keys, table: { ...EVERYTHING, ...less } });
  assert.deepEqual(resolved(["x"], {}), { keys: ["x"], reason: "given with the pipeline" });
  assert.deepEqual(resolved([], {}), { keys: ["code"], reason: "merge keys of the table" });
  const natural = resolved([], { mergeKeys: [] });
  assert.deepEqual(natural.keys, ["email"]);
  assert.equal(
    natural.warning,
    "merge keys resolved to (email), the natural key of the table, which differs from the declared " +
      "primary key (id). Give keys with the pipeline to silence this",
  );
  const unique = resolved([], { mergeKeys: [], naturalKey: [] });
  assert.deepEqual(unique.keys, ["a", "b"]);
  assert.match(unique.warning ?? "", /\(a, b\), the first unique group/);
  const primary = resolved([], { mergeKeys: [], naturalKey: [], uniqueGroups: [] });
  assert.deepEqual(primary, { keys: ["id"], reason: "primary key of the table" });
  const none = resolved([], { mergeKeys: [], naturalKey: [], uniqueGroups: [], primaryKey: [] });
  assert.deepEqual(none.keys, []);
});

Deno.test("there is nothing to warn of where the keys are the primary key, or there is none", () => {
  const table = { ...EVERYTHING, mergeKeys: [], naturalKey: ["b", "a"] };
  for (const primaryKey of [["a", "b"], []]) {
    const { keys, warning } = resolveKeys({ keys: [], table: { ...table, primaryKey } });
    assert.deepEqual([keys, warning], [["b", "a"], undefined]);
  }
});
