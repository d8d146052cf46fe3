import assert from "node:assert/strict";
import {
  canonicalType,
  decimalSize,
  hasCommonValues,
  holdsIntegers,
  INTEGER_TYPES,
  integerRange,
} from "./engine_type.ts";

Deno.test("types are spelled as the engine spells them", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["timestamptz", "TIMESTAMP WITH TIME ZONE"],
    [" timestamp  with time zone ", "TIMESTAMP WITH TIME ZONE"],
    ["double precision", "DOUBLE"],
    ["int2", "SMALLINT"],
    ["varchar (20)", "VARCHAR"],
    ["numeric", "DECIMAL(18,3)"],
    ["decimal( 10 )", "DECIMAL(10,0)"],
    ["DECIMAL(18, 2)", "DECIMAL(18,2)"],
    ["ENUM('Ab')", "ENUM('Ab')"],
    ["STRUCT(a BIGINT)", "STRUCT(a BIGINT)"],
  ];
  for (const [given, canonical] of cases) assert.equal(canonicalType(given), canonical, given);
});

Deno.test("integer types have their ranges, and hold those within", () => {
  assert.deepEqual(integerRange("TINYINT"), {
    signed: true,
    least: -128n,
    greatest: 127n,
    bits: 7,
    digits: 3,
  });
  assert.deepEqual(INTEGER_TYPES.map((type) => integerRange(type)?.digits), [
    ...[3, 5, 10, 19, 39],
    ...[3, 5, 10, 20, 39],
  ]);
  const holds = (outer: string, inner: string) => {
    const [a, b] = [integerRange(outer), integerRange(inner)];
    assert(a !== undefined && b !== undefined);
    return holdsIntegers(a, b);
  };
  assert.equal(holds("SMALLINT", "UTINYINT"), true);
  assert.equal(holds("UTINYINT", "TINYINT"), false);
  assert.equal(holds("BIGINT", "UBIGINT"), false);
  assert.equal(holds("UHUGEINT", "UBIGINT"), true);
  assert.equal(integerRange("DOUBLE"), undefined);
  assert.deepEqual(decimalSize("DECIMAL(18,2)"), { precision: 18, scale: 2 });
});

Deno.test("types of other things have no value in common", () => {
  const common: readonly (readonly [string, string])[] = [
    ["BIGINT", "BOOLEAN"],
    ["BOOLEAN", "DECIMAL(18,2)"],
    ["DATE", "TIMESTAMP WITH TIME ZONE"],
    ["VARCHAR", "DATE"],
    ["DATE", "VARCHAR"],
    ["UUID", "JSON"],
    ["NULL", "TIME"],
    ["TIME WITH TIME ZONE", "TIME"],
    ["BIGINT[]", "STRUCT(a BIGINT)"],
  ];
  for (const [from, to] of common) assert.equal(hasCommonValues(from, to), true, `${from} ${to}`);
  const none: readonly (readonly [string, string])[] = [
    ["TIMESTAMP", "TIME"],
    ["TIME", "DATE"],
    ["BIGINT", "DATE"],
    ["DATE", "BOOLEAN"],
    ["BLOB", "BIGINT"],
    ["UUID", "BLOB"],
    ["INTERVAL", "TIME"],
  ];
  for (const [from, to] of none) assert.equal(hasCommonValues(from, to), false, `${from} ${to}`);
});
