import assert from "node:assert/strict";
import { mergeKeys, newTableKeys } from "./merge_keys.ts";

const column = (name: string) => ({
  name,
  type: "BIGINT",
  nativeType: "BIGINT",
  nullable: true,
  hasDefault: false,
});
const table = {
  shown: "main.t",
  columns: ["Id", "a", "b", "c"].map(column),
  primaryKey: ["Id"],
  uniqueKeys: [["Id"], ["b", "a"]],
};

Deno.test("mergeKeys takes the primary key, or unique columns in any order and case", () => {
  assert.deepEqual(mergeKeys(table, [], ["Id", "a"]), ["Id"]);
  assert.deepEqual(mergeKeys(table, ["id"], ["Id", "a"]), ["Id"]);
  assert.deepEqual(mergeKeys(table, ["a", "b"], ["a", "b"]), ["a", "b"]);
});

Deno.test("mergeKeys refuses keys that are not there or not unique", () => {
  assert.throws(() => mergeKeys({ ...table, primaryKey: [] }, [], ["a"]), {
    code: "target_key_missing",
  });
  assert.throws(() => mergeKeys(table, ["a"], ["a"]), { code: "target_key_not_unique" });
  assert.throws(() => mergeKeys(table, ["x"], ["a"]), { code: "target_column_unknown" });
  assert.throws(() => mergeKeys(table, ["Id"], ["a"]), { code: "target_key_missing" });
});

Deno.test("newTableKeys wants keys that the rows have", () => {
  const columns = [{ name: "Id", type: "BIGINT" }];
  assert.deepEqual(newTableKeys("t", ["id"], columns), ["Id"]);
  assert.throws(() => newTableKeys("t", [], columns), { code: "target_key_missing" });
  assert.throws(() => newTableKeys("t", ["other"], columns), { code: "target_key_missing" });
});
