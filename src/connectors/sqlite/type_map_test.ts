import assert from "node:assert/strict";
import { declarationOf, declaredType } from "./type_map.ts";

const DECLARED: readonly (readonly [declaration: string, affinity: string, type: string])[] = [
  ["INTEGER", "integer", "BIGINT"],
  ["bigint", "integer", "BIGINT"],
  ["POINT", "integer", "BIGINT"],
  ["VARCHAR(20)", "text", "VARCHAR"],
  ["DECIMAL_TEXT(18,2)", "text", "DECIMAL(18,2)"],
  ["HUGE_TEXT", "text", "HUGEINT"],
  ["JSON_TEXT", "text", "JSON"],
  ["BLOB", "none", "BLOB"],
  ["", "none", "ANY"],
  ["double precision", "real", "DOUBLE"],
  ["numeric", "numeric", "DECIMAL(38,10)"],
  ["DECIMAL( 10 , 2 )", "numeric", "DECIMAL(10,2)"],
  ["NUMERIC(5)", "numeric", "DECIMAL(5,0)"],
  ["timestamp with time  zone", "numeric", "TIMESTAMP WITH TIME ZONE"],
  ["DATETIME", "numeric", "TIMESTAMP"],
  ["UUID", "numeric", "ANY"],
];

for (const [declaration, affinity, engineType] of DECLARED) {
  Deno.test(`declaredType reads '${declaration}'`, () => {
    assert.deepEqual(declaredType(declaration, false), { affinity, engineType });
  });
}

Deno.test("what flow declares is read as a type that takes the same values", () => {
  const same = [
    "BOOLEAN",
    "BIGINT",
    "HUGEINT",
    "UHUGEINT",
    "BIGNUM",
    "DECIMAL(38,3)",
    "DOUBLE",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_NS",
    "TIMESTAMP WITH TIME ZONE",
    "BLOB",
    "JSON",
    "VARCHAR",
  ];
  for (const type of same) {
    assert.equal(declaredType(declarationOf(type, false), false).engineType, type);
  }
  assert.equal(declarationOf("STRUCT(a INTEGER)[]", false), "JSON_TEXT");
});

Deno.test("a strict table gets strict types", () => {
  const strict = ["BOOLEAN", "DOUBLE", "BLOB", "DATE", "DECIMAL(9,2)", "STRUCT(a INTEGER)"];
  assert.deepEqual(strict.map((type) => declarationOf(type, true)), [
    "INTEGER",
    "REAL",
    "BLOB",
    "TEXT",
    "TEXT",
    "TEXT",
  ]);
  assert.deepEqual(declaredType("ANY", true), { affinity: "none", engineType: "ANY" });
});
