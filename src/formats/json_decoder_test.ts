import assert from "node:assert/strict";
import type { DecoderHints } from "../core/decoder.ts";
import { createJsonDecoder } from "./json_decoder.ts";
import { FIRST_EVENT_MICROS, unquoted, withDecoding } from "./decoder_fixture_test.ts";

const PLAIN: DecoderHints = { inferTimes: true };

/** One field `v` of these JSON values, what type it gets, and what its values are. */
interface ValueCase {
  readonly values: readonly string[];
  readonly type: string;
  /** JSON of the column's values; those given when absent. */
  readonly gives?: readonly string[];
}

const VALUES: Record<string, ValueCase> = {
  "integers of 64 bit": {
    values: ["0", "9223372036854775807", "-9223372036854775808"],
    type: "BIGINT",
  },
  "longer integers": {
    values: ["1", "9223372036854775808", "99999999999999999999999999999999999999"],
    type: "DECIMAL(38,0)",
  },
  "integers that no type holds": {
    values: ["1", "999999999999999999999999999999999999999"],
    type: "VARCHAR",
    gives: ['"1"', '"999999999999999999999999999999999999999"'],
  },
  "fractions": {
    values: ["0.1", "1e300", "5e-324", "-2.5e-3"],
    type: "DOUBLE",
    gives: ["0.1", "1e300", "5e-324", "-0.0025"],
  },
  "integers among fractions": { values: ["1", "0.5"], type: "DOUBLE", gives: ["1.0", "0.5"] },
  "a fraction that is an integer": { values: ["1.0"], type: "DOUBLE" },
  "seventeen digits that a double has": { values: ["0.30000000000000004"], type: "DOUBLE" },
  "more digits than a double has": {
    values: ["0.1000000000000000055", "1"],
    type: "DECIMAL(38,19)",
    gives: ["0.1000000000000000055", "1.0000000000000000000"],
  },
  "a long decimal": {
    values: ["12345678901234567890.12345678", "-0.5"],
    type: "DECIMAL(38,8)",
    gives: ["12345678901234567890.12345678", "-0.50000000"],
  },
  "decimals that no type holds": {
    values: ["1234567890123456789012345678901234567890.5", "1.50"],
    type: "VARCHAR",
    gives: ['"1234567890123456789012345678901234567890.5"', '"1.50"'],
  },
  "a number beyond all doubles": { values: ["1e400"], type: "VARCHAR", gives: ['"1e400"'] },
  "a number too small for a double": { values: ["1e-400"], type: "VARCHAR", gives: ['"1e-400"'] },
  "integers with a fraction beyond 2^53": {
    values: ["9007199254740993", "0.5"],
    type: "DECIMAL(38,1)",
    gives: ["9007199254740993.0", "0.5"],
  },
  "minus zero": { values: ["-0", "1"], type: "DOUBLE", gives: ["-0.0", "1.0"] },
  "minus zero as a fraction": { values: ["-0.0"], type: "DOUBLE" },
  "booleans": { values: ["true", "false", "null"], type: "BOOLEAN" },
  "texts": {
    values: ['""', '"null"', '"1"', '"\\u0000\\n\\"\\\\"', '"é😀"', '"a\\/b"', "null"],
    type: "VARCHAR",
    gives: ['""', '"null"', '"1"', '"\\u0000\\n\\"\\\\"', '"é😀"', '"a/b"', "null"],
  },
  "texts that look like leniencies": {
    values: ['":NaN,}"', '"[1,]"', '",Infinity"', '":1e5"', '"\\",}"'],
    type: "VARCHAR",
  },
  "times with a zone": {
    values: ['"2026-01-31T12:00:00Z"', '"2026-01-31T12:00:00.123456+02:00"', "null"],
    type: "TIMESTAMP WITH TIME ZONE",
    gives: ['"2026-01-31T12:00:00Z"', '"2026-01-31T10:00:00.123456Z"', "null"],
  },
  "times of which one has nanoseconds": {
    values: ['"2026-01-31T12:00:00Z"', '"2026-01-31T12:00:00.123456789Z"'],
    type: "VARCHAR",
  },
  "times without zone": { values: ['"2026-01-31T12:00:00"'], type: "VARCHAR" },
  "times that are none": {
    values: ['"2026-02-30T12:00:00Z"', '"2026-01-31T24:00:00Z"', '"2026-01-31T12:00:00+25:00"'],
    type: "VARCHAR",
  },
  "objects": {
    values: ['{"a":1,"b":{"c":"x"}}', '{"b":null}', "null", '{"a":12345678901234567890}'],
    type: "STRUCT(a DECIMAL(38,0), b STRUCT(c VARCHAR))",
    gives: [
      '{"a":1,"b":{"c":"x"}}',
      '{"a":null,"b":null}',
      "null",
      '{"a":12345678901234567890,"b":null}',
    ],
  },
  "lists": { values: ["[1,2]", "[]", "null", "[null]"], type: "BIGINT[]" },
  "lists of long decimals": {
    values: ["[0.1000000000000000055]", "[1]"],
    type: "DECIMAL(38,19)[]",
    gives: ["[0.1000000000000000055]", "[1.0000000000000000000]"],
  },
  "lists of objects": {
    values: ['[{"a":1.5},{"b":["x"]}]'],
    type: "STRUCT(a DOUBLE, b VARCHAR[])[]",
    gives: ['[{"a":1.5,"b":null},{"a":null,"b":["x"]}]'],
  },
  "lists of lists": { values: ["[[1],[],[2,3]]"], type: "BIGINT[][]" },
  "mixed lists": {
    values: ['[1,"a",{"b":1.50,"c":0.1000000000000000055}]', "[]"],
    type: "JSON",
  },
  "empty lists": { values: ["[]", "[]"], type: "JSON" },
  "empty objects": { values: ["{}", "null"], type: "JSON" },
  "objects with keys that differ in case": { values: ['{"a":1,"A":2}'], type: "JSON" },
  "objects with an empty key": { values: ['{"":1}'], type: "JSON" },
  "objects with too many keys": {
    values: [
      JSON.stringify(Object.fromEntries(Array.from({ length: 101 }, (_v, at) => [`k${at}`, at]))),
    ],
    type: "JSON",
  },
  "objects with odd keys": {
    values: ['{"a.b":1,"$":2,"a/b~\\"c\'":3,"*":4}'],
    type: 'STRUCT("a.b" BIGINT, "$" BIGINT, "a/b~""c\'" BIGINT, "*" BIGINT)',
  },
  "only nulls": { values: ["null", "null"], type: "VARCHAR" },
  "deep nesting": {
    values: ['{"a":'.repeat(30) + "1.50" + "}".repeat(30)],
    type: "",
    gives: ['{"a":'.repeat(30) + "1.5" + "}".repeat(30)],
  },
};

for (const [name, given] of Object.entries(VALUES)) {
  for (const [style, payload] of STYLES()) {
    Deno.test(`json: ${name}${style}`, () =>
      withDecoding(async ({ decode, read, assertNoTables }) => {
        const decoder = createJsonDecoder(PLAIN);
        // The second time the quick way is open.
        for (let round = 0; round < 3; round += 1) {
          const outcome = await read(await decode(decoder, given.values.map(payload)));
          assert.deepEqual([...outcome.rejected], []);
          assert.equal(outcome.parts.length, 1);
          const type = outcome.parts[0]?.columns.find((column) => column.name === "v")?.type;
          if (given.type !== "") assert.equal(unquoted(type ?? ""), given.type);
          const expected = (given.gives ?? given.values).map((value) => `{"id":7,"v":${value}}`);
          assert.deepEqual([...outcome.json.values()], expected);
          assert.equal(outcome.schemaChange === undefined, round > 0);
        }
        await assertNoTables();
      }));
  }
}

function STYLES(): [style: string, payload: (value: string) => string][] {
  return [
    ["", (value) => `{"id":7,"v":${value}}`],
    [", with spaces", (value) => ` {"id" : 7,\n\t"v": ${value} } `],
  ];
}

const REFUSED: Record<string, readonly [payload: string | Uint8Array, reason: RegExp]> = {
  "broken": ['{"v":1', /^not JSON: .*position 6/],
  "a trailing comma in an object": ['{"v":1,}', /^not JSON: .*position 7/],
  "a trailing comma in a list": ['{"v":[1, ]}', /^not JSON: /],
  "NaN": ['{"v":NaN}', /^not JSON: .*N/],
  "nan inside": ['{"v":[1,-nan]}', /^not JSON: /],
  "Infinity": ['{"v": -Infinity}', /^not JSON: /],
  "two documents": ['{"v":1}{"v":2}', /^not JSON: /],
  "a leading zero": ['{"v":01}', /^not JSON: /],
  "single quotes": ["{'v':1}", /^not JSON: /],
  "a comment": ['{"v":1/* */}', /^not JSON: /],
  "a byte order mark": ['\ufeff{"v":1}', /^not JSON: it begins with a byte order mark$/],
  "half of a surrogate pair": ['{"v":"\\ud800"}', /^not JSON: .*surrogate/],
  "a control character in a string": ['{"v":"\u0001"}', /^not JSON: /],
  "a list": ["[1]", /^JSON, but not an object: a list$/],
  "a string": ['"x"', /^JSON, but not an object: a string$/],
  "a number": ["1.5", /^JSON, but not an object: a number$/],
  "a boolean": ["true", /^JSON, but not an object: a boolean$/],
  "null": ["null", /^JSON, but not an object: null$/],
  "nothing": ["", /^empty payload$/],
  "blanks": [" \n", /^empty payload$/],
  "bytes that are not UTF-8": [new Uint8Array([123, 0xff, 125]), /^not UTF-8$/],
  "a key twice": ['{"v":1,"w":2,"v":3}', /^the key "v" stands twice in the object$/],
};

for (const [name, [payload, reason]] of Object.entries(REFUSED)) {
  Deno.test(`json: refuses ${name}`, () =>
    withDecoding(async ({ decode, read, assertNoTables }) => {
      for (const good of ['{"v":1}', '{"v":[1.5]}', '{"v":"x"}', '{"v":[1,"a"]}']) {
        const decoder = createJsonDecoder(PLAIN);
        for (let round = 0; round < 2; round += 1) {
          const outcome = await read(await decode(decoder, [good, payload, good]));
          assert.deepEqual([...outcome.json], [[0, good], [2, good]]);
          assert.deepEqual([...outcome.rejected.keys()], [1]);
          assert.match(outcome.rejected.get(1) ?? "", reason);
        }
      }
      await assertNoTables();
    }));
}

Deno.test("json: a tombstone gives no row and no rejection", () =>
  withDecoding(async ({ decode, read, assertNoTables }) => {
    const decoder = createJsonDecoder(PLAIN);
    const outcome = await read(await decode(decoder, [null, '{"v":1}', null]));
    assert.deepEqual([...outcome.json], [[1, '{"v":1}']]);
    assert.deepEqual([...outcome.rejected], []);
    assert.deepEqual((await decode(decoder, [null, null])).parts, []);
    assert.deepEqual((await decode(decoder, [])).parts, []);
    await assertNoTables();
  }));

Deno.test("json: keys become columns, whatever they are", () =>
  withDecoding(async ({ decode, read }) => {
    const keys = [
      "a.b",
      'q"x',
      "it's",
      "é😀",
      "$",
      "*",
      "",
      "/",
      "~1",
      "a b",
      "0",
      "[0]",
      "select",
      "a\0b",
      "x",
      "X",
      "x_1",
      "_payload",
    ];
    const decoder = createJsonDecoder(PLAIN);
    const payload = `{${keys.map((key, at) => `${JSON.stringify(key)}:${at}`).join(",")}}`;
    for (let round = 0; round < 2; round += 1) {
      const outcome = await read(await decode(decoder, [payload]));
      const names = outcome.parts[0]?.columns.map((column) => column.name);
      assert.deepEqual(names, [
        "a.b",
        'q"x',
        "it's",
        "é😀",
        "$",
        "*",
        "_",
        "/",
        "~1",
        "a b",
        "0",
        "[0]",
        "select",
        "a␀b",
        "x",
        "X_1",
        "x_1_1",
        "_payload",
      ]);
      assert.deepEqual(Object.values(JSON.parse(outcome.json.get(0) ?? "")).length, keys.length);
      assert.deepEqual(
        [...outcome.json.get(0)?.matchAll(/:(\d+)/g) ?? []].map((m) => Number(m[1])),
        keys.map((_k, at) => at),
      );
    }
  }));

Deno.test("json: metadata hides payload fields, but for an event time of its own", () =>
  withDecoding(async ({ session, decode, assertNoTables }) => {
    const decoder = createJsonDecoder(PLAIN);
    const values = [
      '"2026-03-04T05:06:07Z"',
      "1700000000123",
      "1700000000123456",
      '"soon"',
      "null",
      "1.5",
    ];
    const payloads = [
      ...values.map((value) =>
        `{"_event_ts":${value},"_offset":"mine","__flow_row":9,"_Key":[1],"v":1}`
      ),
      '{"v":1}',
    ];
    for (let round = 0; round < 2; round += 1) {
      const decoded = await decode(decoder, payloads);
      assert.deepEqual(decoded.parts[0]?.columns, [{ name: "v", type: "BIGINT" }]);
      const table = decoded.parts[0]?.table ?? "";
      const rows = await session.rows<{ ts: bigint; o: bigint; k: string | null }>(
        `SELECT epoch_us(_event_ts) AS ts, _offset AS o, _key AS k FROM ${table}`,
      );
      const brokers = (row: number) => FIRST_EVENT_MICROS + BigInt(row) * 1_000_000n;
      assert.deepEqual(rows.map((row) => row.ts), [
        BigInt(Date.UTC(2026, 2, 4, 5, 6, 7)) * 1000n,
        1700000000123000n,
        1700000000123456n,
        brokers(3),
        brokers(4),
        brokers(5),
        brokers(6),
      ]);
      assert.deepEqual(rows.map((row) => row.o), [100n, 101n, 102n, 103n, 104n, 105n, 106n]);
      assert.ok(rows.every((row) => row.k === null));
      await session.run(`DROP TABLE ${table}`);
    }
    await assertNoTables();
  }));

Deno.test("json: texts stay texts where times are not to be inferred", () =>
  withDecoding(async ({ decode, read }) => {
    const payload = '{"v":"2026-01-31T12:00:00Z","w":"2026-01-31T12:00:00Z"}';
    const none = createJsonDecoder({ inferTimes: false });
    await read(await decode(none, [payload]));
    assert.deepEqual(none.columns.map((column) => column.type), ["VARCHAR", "VARCHAR"]);
    const preferred = [{ name: "W", type: "TIMESTAMP" }];
    const some = createJsonDecoder({ inferTimes: true, preferred });
    await read(await decode(some, [payload]));
    assert.deepEqual(some.columns.map((column) => column.type), [
      "TIMESTAMP WITH TIME ZONE",
      "VARCHAR",
    ]);
    const zoned = [{ name: "W", type: "TIMESTAMP WITH TIME ZONE" }];
    const times = createJsonDecoder({ inferTimes: true, preferred: zoned });
    await read(await decode(times, [payload]));
    assert.deepEqual(times.columns.map((column) => column.type), [
      "TIMESTAMP WITH TIME ZONE",
      "TIMESTAMP WITH TIME ZONE",
    ]);
  }));

Deno.test("json: numbers keep their text where the target wants text", () =>
  withDecoding(async ({ decode, read }) => {
    const preferred = [
      { name: "t", type: "VARCHAR" },
      { name: "n", type: "BIGINT" },
      { name: "j", type: "JSON" },
    ];
    const decoder = createJsonDecoder({ inferTimes: true, preferred });
    const payloads = [
      '{"t":1.50,"n":"12","j":{"b":1,"a":{}}}',
      '{"t":"x","n":"x","j":"s"}',
      '{"t":-0,"j":[1.50]}',
    ];
    for (let round = 0; round < 2; round += 1) {
      const outcome = await read(await decode(decoder, payloads));
      assert.deepEqual(outcome.parts[0]?.columns.map((column) => column.type), [
        "VARCHAR",
        "VARCHAR",
        "JSON",
      ]);
      assert.deepEqual([...outcome.json.values()], [
        '{"t":"1.50","n":"12","j":{"b":1,"a":{}}}',
        '{"t":"x","n":"x","j":"s"}',
        '{"t":"-0","n":null,"j":[1.50]}',
      ]);
    }
  }));
