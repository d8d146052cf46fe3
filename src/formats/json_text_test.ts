import assert from "node:assert/strict";
import fc from "fast-check";
import { type Column, quoteIdentifier, quoteLiteral } from "../core/schema.ts";
import type { Session } from "../core/session.ts";
import { createEngine } from "../sql/engine.ts";
import { jsonRow, jsonValue } from "./json_text.ts";

async function withSession(work: (session: Session) => Promise<void>): Promise<void> {
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
  const engine = await createEngine({ scratchDir });
  try {
    await work(await engine.connect());
  } finally {
    await engine.close();
    await Deno.remove(scratchDir, { recursive: true });
  }
}

/** The columns of a query as `DESCRIBE` spells their types: that alone keeps the alias JSON, also inside of structs. */
async function described(session: Session, query: string): Promise<Column[]> {
  const rows = await session.rows<{ column_name: string; column_type: string }>(
    `DESCRIBE ${query}`,
  );
  return rows.map((row) => ({ name: row.column_name, type: row.column_type }));
}

/** SQL of a value, and the exact JSON text that it must give. */
const CASES: Record<string, readonly [sql: string, json: string | null]> = {
  hugeint: ["170141183460469231731687303715884105727::HUGEINT", String(2n ** 127n - 1n)],
  ubigint: ["18446744073709551615::UBIGINT", "18446744073709551615"],
  bigint: ["(-9223372036854775808)::BIGINT", "-9223372036854775808"],
  "wide decimal": [
    "'123456789012345678901234567890.12'::DECIMAL(38,2)",
    "123456789012345678901234567890.12",
  ],
  "narrow decimal": ["'1.50'::DECIMAL(4,2)", "1.50"],
  "decimal without scale": ["12::DECIMAL(4,0)", "12"],
  "decimal without integral digits": ["'-0.123'::DECIMAL(3,3)", "-0.123"],
  "decimal of 38 decimal places": [
    "'0.12345678901234567890123456789012345678'::DECIMAL(38,38)",
    "0.12345678901234567890123456789012345678",
  ],
  bignum: [
    "'123456789012345678901234567890123456789012'::BIGNUM",
    "123456789012345678901234567890123456789012",
  ],
  "negative zero": ["'-0'::DOUBLE", "-0.0"],
  NaN: ["'nan'::DOUBLE", null],
  "NaN inside": ["['nan'::DOUBLE, '-inf'::DOUBLE, 1.5]", "[null,null,1.5]"],
  "infinite float": ["'inf'::FLOAT", null],
  float: ["0.1::FLOAT", "0.1"],
  boolean: ["true", "true"],
  text: ["'ü\"\\' || chr(10) || chr(0)", '"ü\\"\\\\\\n\\u0000"'],
  "empty text": ["''", '""'],
  blob: ["'\\xAB\\x01'::BLOB", '"ab01"'],
  timestamp: ["TIMESTAMP '2020-01-01 10:00:00'", '"2020-01-01T10:00:00"'],
  "timestamp with a fraction": [
    "TIMESTAMP '2020-01-01 10:00:00.5'",
    '"2020-01-01T10:00:00.500000"',
  ],
  timestamptz: [
    "TIMESTAMPTZ '2020-01-01 10:00:00.123456+02'",
    '"2020-01-01T08:00:00.123456Z"',
  ],
  "early timestamp": ["TIMESTAMPTZ '0999-12-31 00:00:00+00'", '"0999-12-31T00:00:00Z"'],
  "infinite timestamp": ["'infinity'::TIMESTAMPTZ", '"infinity"'],
  nanoseconds: [
    "TIMESTAMP_NS '2020-01-01 00:00:00.123456789'",
    '"2020-01-01T00:00:00.123456789"',
  ],
  seconds: ["TIMESTAMP_S '2020-01-01 00:00:01'", '"2020-01-01T00:00:01"'],
  date: ["DATE '2020-01-01'", '"2020-01-01"'],
  time: ["TIME '10:00:00.5'", '"10:00:00.5"'],
  uuid: [
    "'11111111-1111-1111-1111-111111111111'::UUID",
    '"11111111-1111-1111-1111-111111111111"',
  ],
  interval: ["INTERVAL '1 month'", '"1 month"'],
  enum: ["'b''c'::ENUM('a', 'b''c')", `"b'c"`],
  struct: [
    `{'a': 1, 'b c': 'nan'::DOUBLE, 'x''y"z': ['\\x01'::BLOB, NULL]}`,
    `{"a":1,"b c":null,"x'y\\"z":["01",null]}`,
  ],
  "NULL struct": ["NULL::STRUCT(a DOUBLE)", null],
  "list of structs": ["[NULL::STRUCT(a DOUBLE), {'a': 2::DOUBLE}]", '[null,{"a":2.0}]'],
  array: ["['\\x01'::BLOB, NULL]::BLOB[2]", '["01",null]'],
  map: ["MAP{'a': 1, 'b': NULL}", '{"a":1,"b":null}'],
  "map of times": ["MAP{TIMESTAMP '2020-01-01': 'nan'::DOUBLE}", '{"2020-01-01T00:00:00":null}'],
  "map of decimals": ["MAP{1.50::DECIMAL(4,2): 1}", '{"1.50":1}'],
  "empty map": ["MAP{}::MAP(INTEGER, DOUBLE)", "{}"],
  "empty list": ["[]::DOUBLE[]", "[]"],
  json: [
    `'{"a":1.10, "b": 123456789012345678901}'::JSON`,
    '{"a":1.10, "b": 123456789012345678901}',
  ],
  "json inside": [
    `{'q': '{"a":1.10}'::JSON, 'r': 1, 's': 'nan'::DOUBLE, 't': NULL::JSON}`,
    '{"q":{"a":1.10},"r":1,"s":null,"t":null}',
  ],
  "json in a map": [`MAP{'k"': '1.10'::JSON}`, '{"k\\"":1.10}'],
  union: ["union_value(num := 1)", '{"num":1}'],
  "union of a double": ["union_value(d := 1.5::DOUBLE)", '{"d":1.5}'],
  "unnamed struct": ["row(1, 'nan'::DOUBLE)", "[1,null]"],
  "deep nesting": [
    "[[{'a': [MAP{1: {'b': 'nan'::DOUBLE, 'c': TIMESTAMP '2020-01-01'}}]}]]",
    '[[{"a":[{"1":{"b":null,"c":"2020-01-01T00:00:00"}}]}]]',
  ],
};

Deno.test("jsonValue maps every type as documented", () =>
  withSession(async (session) => {
    for (const [name, [sql, expected]] of Object.entries(CASES)) {
      const [column] = await described(session, `SELECT ${sql} AS v`);
      assert.ok(column);
      const [row] = await session.rows<{ j: string | null }>(
        `SELECT ${jsonValue("v", column.type)} AS j FROM (SELECT ${sql} AS v)`,
      );
      assert.equal(row?.j, expected, name);
      if (expected !== null) JSON.parse(expected);
    }
  }));

Deno.test("jsonRow writes all columns in order, NULL as null", () =>
  withSession(async (session) => {
    const names = Object.keys(CASES);
    const select = names.map((name) => `${CASES[name]?.[0]} AS ${quoteIdentifier(name)}`).join(
      ", ",
    );
    const columns = await described(session, `SELECT ${select}`);
    const [row] = await session.rows<{ j: string }>(
      `SELECT ${jsonRow(columns, "s")} AS j FROM (SELECT ${select}) AS s`,
    );
    const members = names.map((name) => `${JSON.stringify(name)}:${CASES[name]?.[1] ?? "null"}`);
    assert.equal(row?.j, `{${members.join(",")}}`);
    assert.equal(jsonRow([]), "'{}'");
  }));

interface Typed {
  readonly type: string;
  readonly sql: string;
  /** What JSON.parse must give. */
  readonly value: unknown;
}

const scalars: readonly fc.Arbitrary<Typed>[] = [
  fc.integer().map((n) => ({ type: "INTEGER", sql: String(n), value: n })),
  fc.boolean().map((b) => ({ type: "BOOLEAN", sql: String(b), value: b })),
  fc.double({ noDefaultInfinity: false }).map((d) => ({
    type: "DOUBLE",
    sql: `'${Number.isNaN(d) ? "nan" : Object.is(d, -0) ? "-0" : String(d)}'::DOUBLE`,
    value: Number.isFinite(d) ? d : null,
  })),
  fc.string({ unit: "grapheme" }).filter((s) => !s.includes("\u0000") && s.isWellFormed()).map((
    s,
  ) => ({
    type: "VARCHAR",
    sql: quoteLiteral(s),
    value: s,
  })),
  fc.date({
    min: new Date("0001-01-01T00:00:00Z"),
    max: new Date("9999-12-31T23:59:59Z"),
    noInvalidDate: true,
  }).map(
    (d) => ({
      type: "TIMESTAMP WITH TIME ZONE",
      sql: `make_timestamptz(${d.getTime() * 1000})`,
      value: d.getMilliseconds() === 0
        ? d.toISOString().replace(".000Z", "Z")
        : d.toISOString().replace("Z", "000Z"),
    }),
  ),
  fc.uint8Array({ maxLength: 5 }).map((b) => ({
    type: "BLOB",
    sql: `from_hex('${[...b].map((x) => x.toString(16).padStart(2, "0")).join("")}')`,
    value: [...b].map((x) => x.toString(16).padStart(2, "0")).join(""),
  })),
  fc.jsonValue({ maxDepth: 2, noUnicodeString: true }).map((j) => ({
    type: "JSON",
    sql: `${quoteLiteral(JSON.stringify(j))}::JSON`,
    value: JSON.parse(JSON.stringify(j)),
  })),
];

const typed: fc.Memo<Typed> = fc.memo((depth) => {
  const scalar = fc.oneof(...scalars);
  if (depth <= 1) return scalar;
  const inner = typed(depth - 1);
  return fc.oneof(
    scalar,
    inner.map((t) => ({ ...t, sql: `NULL::${t.type}`, value: null })),
    inner.map((t) => ({
      type: `${t.type}[]`,
      sql: `[${t.sql}, NULL]::${t.type}[]`,
      value: [t.value, null],
    })),
    fc.array(inner, { minLength: 1, maxLength: 3 }).map((fields) => ({
      type: `STRUCT(${fields.map((f, at) => `"f ${at}" ${f.type}`).join(", ")})`,
      sql: `{${fields.map((f, at) => `'f ${at}': ${f.sql}::${f.type}`).join(", ")}}`,
      value: Object.fromEntries(fields.map((f, at) => [`f ${at}`, f.value])),
    })),
    inner.map((t) => ({
      type: `MAP(VARCHAR, ${t.type})`,
      sql: `MAP{'it''s': ${t.sql}::${t.type}}`,
      value: { "it's": t.value },
    })),
  );
});

Deno.test("JSON.parse reads back what jsonRow wrote, for any nesting of types", () =>
  withSession(async (session) => {
    await fc.assert(
      fc.asyncProperty(fc.array(typed(4), { minLength: 1, maxLength: 4 }), async (values) => {
        const columns: Column[] = values.map((v, at) => ({ name: `c"${at}`, type: v.type }));
        const select = values.map((v, at) =>
          `(${v.sql})::${v.type} AS ${quoteIdentifier(columns[at]?.name ?? "")}`
        );
        const [row] = await session.rows<{ j: string }>(
          `SELECT ${jsonRow(columns)} AS j FROM (SELECT ${select.join(", ")})`,
        );
        assert.deepEqual(
          JSON.parse(row?.j ?? ""),
          Object.fromEntries(values.map((v, at) => [`c"${at}`, v.value])),
        );
      }),
      { numRuns: 150 },
    );
  }));
