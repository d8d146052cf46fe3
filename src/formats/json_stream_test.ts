import assert from "node:assert/strict";
import { quoteIdentifier } from "../core/schema.ts";
import type { Decoder } from "../core/decoder.ts";
import { type Outcome, unquoted, withDecoding } from "./decoder_fixture_test.ts";
import { createJsonDecoder } from "./json_decoder.ts";

/** The types of each part, and its rows. */
function shape(outcome: Outcome): unknown {
  return outcome.parts.map((part) => [
    part.columns.map((column) => `${column.name} ${unquoted(column.type)}`).join(", "),
    part.rows,
  ]);
}

/** Batches that one decoder gets one after the other, and the parts that each gives. */
const STREAMS: Record<string, readonly (readonly [payloads: readonly string[], parts: unknown])[]> =
  {
    "a new field": [
      [['{"a":1}'], [["a BIGINT", [0]]]],
      [['{"a":2,"b":"x"}', '{"a":3}'], [["a BIGINT, b VARCHAR", [0, 1]]]],
      [['{"a":4}'], [["a BIGINT, b VARCHAR", [0]]]],
    ],
    "a first value after nulls": [
      [['{"a":null}', '{"a":null}'], [["a VARCHAR", [0, 1]]]],
      [['{"a":null}', '{"a":1.5}'], [["a DOUBLE", [0, 1]]]],
    ],
    "a first inside of empty lists and objects": [
      [['{"a":[],"b":{}}'], [["a JSON, b JSON", [0]]]],
      [['{"a":[],"b":{}}', '{"a":[1],"b":{"c":true}}'], [["a BIGINT[], b STRUCT(c BOOLEAN)", [
        0,
        1,
      ]]]],
    ],
    "wider numbers": [
      [['{"a":1}'], [["a BIGINT", [0]]]],
      [['{"a":2}', '{"a":9223372036854775808}'], [["a DECIMAL(38,0)", [0, 1]]]],
      [['{"a":1}'], [["a DECIMAL(38,0)", [0]]]],
      [['{"a":0.5}', '{"a":7}'], [["a DOUBLE", [0, 1]]]],
      [['{"a":0.1000000000000000055}', '{"a":7}'], [["a DECIMAL(38,19)", [0, 1]]]],
      [['{"a":1e400}', '{"a":7}'], [["a VARCHAR", [0, 1]]]],
      [['{"a":"x"}', '{"a":7}'], [["a VARCHAR", [0, 1]]]],
    ],
    "a wider number beside one that the wider type would change": [
      [['{"a":1}'], [["a BIGINT", [0]]]],
      [['{"a":9007199254740993}', '{"a":0.5}'], [["a DECIMAL(38,1)", [0, 1]]]],
    ],
    "a new field of an object": [
      [['{"a":{"b":1}}'], [["a STRUCT(b BIGINT)", [0]]]],
      [['{"a":{"c":"x"}}', '{"a":{"b":2}}'], [["a STRUCT(b BIGINT, c VARCHAR)", [0, 1]]]],
    ],
    "one odd row": [
      [['{"a":1,"b":"x"}', '{"a":"y"}', '{"a":2}'], [["a BIGINT, b VARCHAR", [0, 2]], [
        "a VARCHAR, b VARCHAR",
        [1],
      ]]],
      [['{"a":3}', '{"a":true}', '{"a":4,"b":5}', '{"a":4,"b":"z"}'], [
        ["a BIGINT, b VARCHAR", [0, 3]],
        ["a BOOLEAN, b VARCHAR", [1]],
        ["a BIGINT, b BIGINT", [2]],
      ]],
    ],
    "most rows of another kind": [
      [['{"a":1}'], [["a BIGINT", [0]]]],
      [['{"a":1}', '{"a":"x"}'], [["a BIGINT", [0]], ["a VARCHAR", [1]]]],
      [['{"a":1}', '{"a":"x"}', '{"a":"y"}'], [["a VARCHAR", [1, 2]], ["a BIGINT", [0]]]],
      [['{"a":"z"}'], [["a VARCHAR", [0]]]],
    ],
    "an object where there were texts": [
      [['{"a":"x"}', '{"a":{"b":1}}', '{"a":"y"}'], [["a VARCHAR", [0, 2]], ["a STRUCT(b BIGINT)", [
        1,
      ]]]],
    ],
    "a text that is no time among times": [
      [['{"a":"2026-01-31T12:00:00Z"}'], [["a TIMESTAMP WITH TIME ZONE", [0]]]],
      [
        ['{"a":"2026-01-31T12:00:01Z"}', '{"a":"soon"}', '{"a":"2026-01-31T12:00:02Z"}'],
        [["a TIMESTAMP WITH TIME ZONE", [0, 2]], ["a VARCHAR", [1]]],
      ],
    ],
    "a time among texts": [
      [['{"a":"x"}'], [["a VARCHAR", [0]]]],
      [['{"a":"2026-01-31T12:00:01Z"}', '{"a":"y"}'], [["a VARCHAR", [0, 1]]]],
    ],
    "another kind inside of an object": [
      [['{"a":{"b":1}}', '{"a":{"b":2}}'], [["a STRUCT(b BIGINT)", [0, 1]]]],
      [
        ['{"a":{"b":1}}', '{"a":{"b":"x"}}', '{"a":{"b":3}}'],
        [["a STRUCT(b BIGINT)", [0, 2]], ["a STRUCT(b VARCHAR)", [1]]],
      ],
    ],
    "a mixed list among lists": [
      [['{"a":[1]}', '{"a":[2]}'], [["a BIGINT[]", [0, 1]]]],
      [['{"a":[1,"x"]}', '{"a":[2]}', '{"a":[3]}'], [["a BIGINT[]", [1, 2]], ["a JSON", [0]]]],
    ],
    "a key twice inside of an object": [
      [['{"a":{"b":1,"b":2}}', '{"a":{"b":1}}'], [
        ["a STRUCT(b BIGINT)", [1]],
        ["a JSON", [0]],
      ]],
    ],
    "more ways of being odd than parts": [
      [
        ['{"a":1,"b":1,"c":1}', '{"a":1,"b":1,"c":1}', '{"a":1,"b":1,"c":1}'],
        [["a BIGINT, b BIGINT, c BIGINT", [0, 1, 2]]],
      ],
      [
        [
          '{"a":1,"b":1,"c":1}',
          '{"a":"x","b":1,"c":1}',
          '{"a":1,"b":"x","c":1}',
          '{"a":1,"b":1,"c":"x"}',
          '{"a":true,"b":"x","c":1}',
          '{"a":1,"b":2,"c":1}',
          '{"a":1,"b":2,"c":1}',
          '{"a":1,"b":[],"c":{"d":1.50}}',
          '{"a":1,"b":2,"c":3}',
          '{"a":1,"b":2,"c":4}',
        ],
        [
          ["a BIGINT, b BIGINT, c BIGINT", [0, 5, 6, 8, 9]],
          ["a VARCHAR, b BIGINT, c BIGINT", [1]],
          ["a BOOLEAN, b VARCHAR, c BIGINT", [4]],
          ["a BIGINT, b VARCHAR, c BIGINT", [2]],
          ["a BIGINT, b JSON, c JSON", [3, 7]],
        ],
      ],
    ],
  };

for (const [name, batches] of Object.entries(STREAMS)) {
  Deno.test(`json stream: ${name}`, () =>
    withDecoding(async ({ decode, read, assertNoTables }) => {
      const decoder = createJsonDecoder({ inferTimes: true });
      for (const [payloads, parts] of batches) {
        const outcome = await read(await decode(decoder, payloads));
        assert.deepEqual(shape(outcome), parts);
        assert.deepEqual([...outcome.rejected], []);
      }
      await assertNoTables();
    }));
}

Deno.test("json stream: a change is told in words", () =>
  withDecoding(async ({ decode, read }) => {
    const decoder = createJsonDecoder({ inferTimes: true });
    const changes = [];
    for (const payload of ['{"a":1}', '{"a":2}', '{"a":1.5,"b":[]}']) {
      changes.push((await read(await decode(decoder, [payload]))).schemaChange);
    }
    assert.deepEqual(changes, [
      'new column "a" BIGINT',
      undefined,
      '"a": BIGINT became DOUBLE; new column "b" JSON',
    ]);
  }));

Deno.test("json stream: an object whose keys never end growing becomes JSON", () =>
  withDecoding(async ({ decode, read }) => {
    const decoder = createJsonDecoder({ inferTimes: true });
    for (let batch = 0; batch < 24; batch += 1) {
      const outcome = await read(await decode(decoder, [`{"a":{"k${batch}":${batch}}}`]));
      const type = outcome.parts[0]?.columns[0]?.type ?? "";
      assert.ok(
        batch > 20 ? type === "JSON" : type.startsWith("STRUCT"),
        `batch ${batch}: ${type}`,
      );
    }
  }));

Deno.test("json stream: fields without end do not grow the schema without end", () =>
  withDecoding(async ({ decode, read }) => {
    const decoder = createJsonDecoder({ inferTimes: true });
    const payload = (from: number, count: number) =>
      JSON.stringify(
        Object.fromEntries(Array.from({ length: count }, (_v, at) => [`k${from + at}`, at])),
      );
    const first = await read(
      await decode(decoder, [payload(0, 750), payload(200, 900), '{"k3":1}']),
    );
    assert.deepEqual(first.parts.map((part) => [part.columns.length, part.rows]), [[1000, [0, 2]]]);
    assert.match(first.rejected.get(1) ?? "", /more than 1000/);
    const second = await read(await decode(decoder, [payload(0, 2), '{"new":1}']));
    assert.deepEqual(second.parts.map((part) => part.rows), [[0]]);
    assert.match(second.rejected.get(1) ?? "", /more than 1000/);
  }));

/** Odd rows of each sort among many: nothing is lost, doubled or put out of order, at a size of many chunks and with both ways of decoding. */
Deno.test("json stream: a hundred thousand rows, some of them odd, spaced, broken or empty", () =>
  withDecoding(async ({ session, decode, assertNoTables }) => {
    const rows = 100_000;
    const sorts: ((row: number) => string | null)[] = [
      (row) => `{"id":${row},"name":"n${row}","price":${row / 100},"at":"2026-01-01T00:00:00Z"}`,
      (row) => `{ "id": ${row}, "name": "n${row}", "price": ${row / 100}, "at": null }`,
      (row) => `{"name":"n${row}","id":${row},"extra":[${row}]}`,
      (row) => `{"id":${row},"name":${row},"price":0.1000000000000000055}`,
      (row) => `{"id":${row},"name":"n${row}"`,
      () => null,
    ];
    const sortOf = (row: number) => row % 100 < 95 ? 0 : row % 100 - 94;
    const payloads = Array.from({ length: rows }, (_v, row) => sorts[sortOf(row)]?.(row) ?? null);
    const decoder = createJsonDecoder({ inferTimes: true });
    for (let batch = 0; batch < 3; batch += 1) {
      const decoded = await decode(decoder, payloads);
      assert.deepEqual(
        decoder.columns.map((column) => `${column.name} ${column.type}`),
        [
          "id BIGINT",
          "name VARCHAR",
          "price DECIMAL(38,19)",
          "at TIMESTAMP WITH TIME ZONE",
          "extra BIGINT[]",
        ],
      );
      assert.deepEqual(decoded.parts.map((part) => part.rows), [rows / 100 * 97, rows / 100]);
      assert.equal(decoded.rejected?.count, rows / 100);
      for (const part of decoded.parts) {
        const table = quoteIdentifier(part.table);
        const [found] = await session.rows(
          `SELECT count(*) FILTER (id <> __flow_row) AS wrong, count(DISTINCT id) AS ids, ` +
            `count(*) FILTER (before > id) AS unordered FROM ` +
            `(SELECT *, lag(id) OVER (ORDER BY rowid) AS before FROM ${table})`,
        );
        assert.deepEqual(found, { wrong: 0n, ids: BigInt(part.rows), unordered: 0n });
        await session.run(`DROP TABLE ${table}`);
      }
      await session.run(`DROP TABLE ${quoteIdentifier(decoded.rejected?.table ?? "")}`);
    }
    await assertNoTables();
  }));

Deno.test("json: keys that differ in case only keep their columns in a new run, whatever comes first", () =>
  withDecoding(async ({ decode, read }) => {
    const namesOf = async (decoder: Decoder, payload: string) =>
      (await read(await decode(decoder, [payload]))).parts[0]?.columns.map(({ name }) => name);
    const type = "BIGINT";
    const hints = {
      inferTimes: true,
      preferred: [{ name: "id", type }, { name: "ID_1", type }],
    };
    assert.deepEqual(await namesOf(createJsonDecoder(hints), '{"ID":5}'), ["ID_1"]);
    const decoder = createJsonDecoder(hints);
    assert.deepEqual(await namesOf(decoder, '{"ID":7,"id":6}'), ["ID_1", "id"]);
    assert.deepEqual(await namesOf(decoder, '{"id":8,"Id":1}'), ["ID_1", "id", "Id_2"]);
    // With a column of one of them only, it is that one's.
    const single = { inferTimes: true, preferred: [{ name: "id", type }] };
    assert.deepEqual(await namesOf(createJsonDecoder(single), '{"ID":7,"id":6}'), ["ID_1", "id"]);
    assert.deepEqual(await namesOf(createJsonDecoder(single), '{"ID":7}'), ["ID"]);
  }));
