import assert from "node:assert/strict";
import { jointTypes } from "./joint_type.ts";

// present, incoming, decimals of incoming doubles, joint types
const CASES: [present: string, incoming: string, scale: number | undefined, types: string[]][] = [
  ["BIGINT", "DOUBLE", 2, ["DOUBLE", "DECIMAL(38,2)", "VARCHAR"]],
  ["BIGINT", "DOUBLE", undefined, ["DOUBLE", "VARCHAR"]],
  ["BIGINT", "DECIMAL(38,0)", undefined, ["DECIMAL(38,0)", "VARCHAR"]],
  ["BIGINT", "DECIMAL(10,2)", undefined, ["DECIMAL(21,2)", "VARCHAR"]],
  ["INTEGER", "BIGINT", undefined, ["BIGINT", "DECIMAL(38,0)", "VARCHAR"]],
  ["BIGINT", "UBIGINT", undefined, ["HUGEINT", "DECIMAL(38,0)", "VARCHAR"]],
  ["INTEGER", "UINTEGER", undefined, ["BIGINT", "DECIMAL(38,0)", "VARCHAR"]],
  ["UTINYINT", "USMALLINT", undefined, ["USMALLINT", "DECIMAL(38,0)", "VARCHAR"]],
  ["UTINYINT", "TINYINT", undefined, ["SMALLINT", "DECIMAL(38,0)", "VARCHAR"]],
  ["UHUGEINT", "TINYINT", undefined, ["HUGEINT", "DECIMAL(38,0)", "VARCHAR"]],
  ["BIGINT", "SMALLINT", undefined, ["DECIMAL(38,0)", "VARCHAR"]],
  ["DECIMAL(38,0)", "DOUBLE", 3, ["DECIMAL(38,3)", "DOUBLE", "VARCHAR"]],
  ["DECIMAL(10,2)", "DECIMAL(12,4)", undefined, ["DECIMAL(12,4)", "VARCHAR"]],
  ["DOUBLE", "DECIMAL(38,2)", undefined, ["DECIMAL(38,2)", "DECIMAL(38,10)", "VARCHAR"]],
  ["DOUBLE", "BIGINT", undefined, ["DECIMAL(38,0)", "DECIMAL(38,10)", "VARCHAR"]],
  ["FLOAT", "DOUBLE", 1, ["DOUBLE", "VARCHAR"]],
  ["DATE", "TIMESTAMP", undefined, ["TIMESTAMP", "VARCHAR"]],
  ["TIMESTAMP", "DATE", undefined, ["VARCHAR"]],
  ["TIMESTAMP WITH TIME ZONE", "VARCHAR", undefined, ["VARCHAR"]],
  ["BOOLEAN", "BIGINT", undefined, ["VARCHAR"]],
  ["BIGINT", "VARCHAR", undefined, ["VARCHAR"]],
  ["UUID", "VARCHAR", undefined, ["VARCHAR"]],
  ["BIGINT", "STRUCT(a BIGINT)", undefined, ["JSON"]],
  ["DATE", "BIGINT[]", undefined, ["VARCHAR"]],
  ["BIGINT[]", "VARCHAR", undefined, ["JSON"]],
  ["BIGINT[]", "DOUBLE[]", 1, ["DOUBLE[]", "JSON"]],
  [
    'STRUCT(a BIGINT, "b c" VARCHAR)',
    "STRUCT(A DOUBLE)",
    1,
    ['STRUCT("a" DOUBLE, "b c" VARCHAR)', "JSON"],
  ],
  ["STRUCT(a BIGINT)", "BIGINT[]", undefined, ["JSON"]],
  ["VARCHAR", "BIGINT", undefined, []],
  ["JSON", "VARCHAR", undefined, []],
  ["BLOB", "VARCHAR", undefined, []],
];

Deno.test("the joint types of two types, the best first", () => {
  for (const [present, incoming, scale, types] of CASES) {
    assert.deepEqual(jointTypes(present, incoming, scale), types, `${present} and ${incoming}`);
  }
});
