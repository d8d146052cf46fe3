import assert from "node:assert/strict";
import { createJsonDecoder } from "./json_decoder.ts";
import { withDecoding } from "./decoder_fixture_test.ts";

/** A declared type, JSON values that are of it (with what they become, where that is not themselves), and values that are not. */
const TYPES: Record<
  string,
  readonly [good: readonly (string | readonly [string, string])[], bad: readonly string[]]
> = {
  TINYINT: [["127", "-128", "null", ["1.0", "1"], ["1e1", "10"]], [
    "128",
    "1.5",
    '"1"',
    "true",
    "[1]",
  ]],
  BIGINT: [["9223372036854775807", ["-0", "0"]], ["9223372036854775808", "1e400", '""']],
  UBIGINT: [["18446744073709551615"], ["-1", "18446744073709551616"]],
  HUGEINT: [["170141183460469231731687303715884105727"], [
    "170141183460469231731687303715884105728",
  ]],
  "DECIMAL(9,2)": [[["1.5", "1.50"], ["1234567.890", "1234567.89"], ["-0.00", "0.00"]], [
    "1.005",
    "12345678",
    '"1.50"',
  ]],
  "DECIMAL(38,18)": [[["0.000000000000000001", "0.000000000000000001"], [
    "-12345678901234567890.5",
    "-12345678901234567890.500000000000000000",
  ], ["1e-18", "0.000000000000000001"]], ["0.0000000000000000001", "123456789012345678901"]],
  "DECIMAL(38,30)": [[["0.123456789012345678901234567890", "0.123456789012345678901234567890"]], [
    "123456789",
  ]],
  DOUBLE: [["0.1", ["-0", "-0.0"], ["7", "7.0"]], ["0.1000000000000000055", "1e400", '"0.1"']],
  FLOAT: [["0.5", "0.1"], ["16777217"]],
  BOOLEAN: [["true", "false"], ["1", '"true"', "{}"]],
  VARCHAR: [['"x"', '""', ["1.50", '"1.50"'], [
    "12345678901234567890123",
    '"12345678901234567890123"',
  ]], ["true", "{}", "[]"]],
  DATE: [['"2026-01-31"'], ['"2026-02-30"', '"2026-1-31"', '"2026-01-31T00:00:00Z"', "20260131"]],
  TIMESTAMP: [['"2026-01-31T12:00:00"', ['"2026-01-31T12:00:00+02:00"', '"2026-01-31T10:00:00"']], [
    '"2026-01-31"',
    "1700000000",
    '"2026-01-31T12:00:00.1234567"',
  ]],
  TIMESTAMPTZ: [['"2026-01-31T12:00:00.123456Z"'], ['"2026-01-31T12:00:00"', '"x"']],
  UUID: [['"0b2e2c3e-52f2-4d4b-9b0e-000000000001"'], ['"x"', "1"]],
  JSON: [["1.5", '{"a":[1,"x"]}', '"s"', "true"], []],
  "BIGINT[]": [["[1,2]", "[]", "[null]"], ["1", "[1.5]", '["1"]']],
  "BIGINT[2]": [["[1,2]"], ["[1]", "[1,2,3]"]],
  "STRUCT(a BIGINT, b VARCHAR)": [['{"a":1,"b":"x"}', ['{"b":"x"}', '{"a":null,"b":"x"}']], [
    '{"a":1,"c":2}',
    '{"a":"1"}',
    "[]",
  ]],
  "MAP(VARCHAR, BIGINT)": [['{"x":1,"y":2}', "{}"], ['{"x":1.5}', '{"x":1,"x":2}', "[]"]],
};

for (const [type, [good, bad]] of Object.entries(TYPES)) {
  Deno.test(`json: the declared type ${type} takes its values and no others`, () =>
    withDecoding(async ({ decode, read, assertNoTables }) => {
      const decoder = createJsonDecoder({ inferTimes: true, declared: [{ name: "v", type }] });
      const values = [...good.map((value) => typeof value === "string" ? value : value[0]), ...bad];
      for (let round = 0; round < 2; round += 1) {
        for (const space of ["", " "]) {
          const outcome = await read(
            await decode(decoder, values.map((value) => `{"v":${space}${value},"id":1}`)),
          );
          assert.deepEqual(
            [...outcome.json.values()],
            good.map((value) => `{"v":${typeof value === "string" ? value : value[1]},"id":1}`),
          );
          assert.equal(outcome.parts.length, 1);
          assert.deepEqual([...outcome.rejected.keys()], bad.map((_v, at) => at + good.length));
          bad.forEach((value, at) => {
            const reason = outcome.rejected.get(at + good.length) ?? "";
            assert.ok(reason.startsWith(`field 'v': ${value} is not exactly a `), reason);
          });
        }
      }
      await assertNoTables();
    }));
}

Deno.test("json: declared columns come first and are there without values", () =>
  withDecoding(async ({ decode, read }) => {
    const decoder = createJsonDecoder({
      inferTimes: true,
      declared: [{ name: "b", type: "INTEGER" }, { name: "a", type: "VARCHAR" }],
    });
    assert.deepEqual(decoder.columns, [{ name: "b", type: "INTEGER" }, {
      name: "a",
      type: "VARCHAR",
    }]);
    const outcome = await read(await decode(decoder, ['{"c":1}', '{"a":"x","b":2}']));
    assert.deepEqual([...outcome.json.values()], [
      '{"b":null,"a":null,"c":1}',
      '{"b":2,"a":"x","c":null}',
    ]);
    assert.equal(outcome.schemaChange, 'new column "c" BIGINT');
  }));

Deno.test("json: a declared type that cannot be read is an error", () => {
  assert.throws(
    () => createJsonDecoder({ inferTimes: true, declared: [{ name: "a", type: "STRUCT(" }] }),
    { code: "type_text_invalid" },
  );
});

Deno.test("json: a declared field that does not fit is the reason, also beside a new field", () =>
  withDecoding(async ({ decode, read }) => {
    const decoder = createJsonDecoder({
      inferTimes: true,
      declared: [{ name: "v", type: "BIGINT" }],
    });
    const outcome = await read(
      await decode(decoder, ['{"v":1}', '{"v":"x","new":1}', '{"v":2,"new":3,"v":4}']),
    );
    assert.match(outcome.rejected.get(1) ?? "", /^field 'v': "x" is not exactly a BIGINT/);
    assert.match(outcome.rejected.get(2) ?? "", /^the key "v" stands twice/);
    assert.deepEqual([...outcome.json.keys()], [0]);
  }));
