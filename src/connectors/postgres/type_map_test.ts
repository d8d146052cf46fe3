import assert from "node:assert/strict";
import { engineType, postgresType } from "./type_map.ts";

Deno.test("numeric keeps its precision and scale where the engine has such a decimal", () => {
  const modifier = (precision: number, scale: number) => ((precision << 16) | (scale & 0x7ff)) + 4;
  assert.equal(engineType("numeric", modifier(10, 2)), "DECIMAL(10,2)");
  assert.equal(engineType("numeric", modifier(38, 38)), "DECIMAL(38,38)");
  assert.equal(engineType("numeric", modifier(39, 0)), undefined);
  assert.equal(engineType("numeric", modifier(5, -2)), undefined);
  assert.equal(engineType("numeric", modifier(3, 5)), undefined);
  assert.equal(engineType("numeric", -1), undefined);
});

Deno.test("created columns hold every value of the engine's type", () => {
  assert.equal(postgresType("UINTEGER"), "bigint");
  assert.equal(postgresType("UBIGINT"), "numeric(20,0)");
  assert.equal(postgresType("DECIMAL(18,3)"), "numeric(18,3)");
  assert.equal(postgresType("TIMESTAMP WITH TIME ZONE"), "timestamptz");
  assert.equal(postgresType("STRUCT(a INTEGER)[]"), "jsonb");
  assert.equal(postgresType("MAP(VARCHAR, INTEGER)"), "jsonb");
  assert.equal(postgresType("ENUM('a', 'b')"), "text");
});
