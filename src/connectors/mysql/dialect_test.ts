import assert from "node:assert/strict";
import { FlowError } from "../../core/error.ts";
import type { SqlValue } from "../../core/session.ts";
import { duckdbDialect } from "../../sql/dialect.ts";
import { serviceTest, type TestRig } from "./test_rig.ts";

/** The values of an expression over a table `v` with the column `x`, in order of `id`. */
async function over(rig: TestRig, columnType: string, values: readonly SqlValue[], sql: string) {
  const { db } = rig;
  await db.run(`CREATE TEMPORARY TABLE v (id INT AUTO_INCREMENT PRIMARY KEY, x ${columnType})`);
  try {
    for (const value of values) await db.run("INSERT INTO v (x) VALUES (?)", [value]);
    const rows = await db.rows<{ y: SqlValue }>(`SELECT ${sql} AS y FROM v ORDER BY id`);
    return rows.map(({ y }) => y);
  } finally {
    await db.run("DROP TEMPORARY TABLE v");
  }
}

async function rejects(work: Promise<unknown>, code: string, message?: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof FlowError, String(error));
    assert.equal(error.code, code, error.message);
    if (message !== undefined) assert.match(error.message, message);
    return true;
  });
}

const x = (type: string) => ({ sql: "x", type });

serviceTest("casts of text are exact or fail, also in a plain SELECT", async (rig) => {
  const { db: { dialect } } = rig;
  const cast = (type: string, ...values: SqlValue[]) =>
    over(rig, "VARCHAR(100)", values, dialect.cast(x("VARCHAR"), type));
  assert.deepEqual(await cast("BIGINT", "9223372036854775807", " -5 ", "7.0", null), [
    ...[9223372036854775807n, -5n, 7n, null],
  ]);
  for (const value of ["abc", "", "1.5", "9223372036854775808", "1e3", "1 2"]) {
    await rejects(cast("BIGINT", "1", value), "load_rejected", /does not fit BIGINT/);
  }
  assert.deepEqual(await cast("UBIGINT", "18446744073709551615"), [18446744073709551615n]);
  await rejects(cast("UTINYINT", "256"), "load_rejected", /UTINYINT/);
  assert.deepEqual(await cast("DECIMAL(10,2)", "1.50", "-0.1", "1e2"), ["1.50", "-0.10", "100.00"]);
  await rejects(cast("DECIMAL(10,2)", "1.255"), "load_rejected");
  await rejects(cast("DECIMAL(4,2)", "123"), "load_rejected");
  assert.deepEqual(await cast("DOUBLE", "1.5", "1e300"), ["1.5", "1e300"]);
  await rejects(cast("DOUBLE", "1,5"), "load_rejected");
  assert.deepEqual(await cast("BOOLEAN", "true", "F", "1", null), [1n, 0n, 1n, null]);
  await rejects(cast("BOOLEAN", "maybe"), "load_rejected");
  assert.deepEqual(await cast("DATE", "2026-02-28"), ["2026-02-28"]);
  await rejects(cast("DATE", "2026-02-30"), "load_rejected");
  await rejects(cast("DATE", "2026-02-28 12:00"), "load_rejected");
  await rejects(cast("UUID", "123"), "load_rejected");
  assert.deepEqual(await cast("JSON", '{"a":1}'), ['{"a":1}']);
  await rejects(cast("JSON", "{bad"), "load_rejected");
  assert.deepEqual(await cast("BLOB", "\\x00ff", "é"), [
    new Uint8Array([0, 255]),
    new Uint8Array([0xc3, 0xa9]),
  ]);
});

serviceTest("casts of numbers and times lose nothing", async (rig) => {
  const { db: { dialect } } = rig;
  const cast = (native: string, from: string, to: string, ...values: SqlValue[]) =>
    over(rig, native, values, dialect.cast(x(from), to));
  assert.deepEqual(await cast("DOUBLE", "DOUBLE", "BIGINT", 3, null), [3n, null]);
  await rejects(cast("DOUBLE", "DOUBLE", "BIGINT", 3.5), "load_rejected");
  await rejects(cast("BIGINT", "BIGINT", "SMALLINT", 40000n), "load_rejected", /SMALLINT/);
  await rejects(cast("DECIMAL(10,3)", "DECIMAL(10,3)", "DECIMAL(10,2)", "1.255"), "load_rejected");
  assert.deepEqual(await cast("DOUBLE", "DOUBLE", "DECIMAL(10,2)", "0.1"), ["0.10"]);
  await rejects(cast("BIGINT", "BIGINT", "DOUBLE", 9007199254740993n), "load_rejected");
  await rejects(cast("DATETIME(6)", "TIMESTAMP", "DATE", "2026-01-01 00:00:01"), "load_rejected");
  assert.deepEqual(
    await cast("DATETIME(6)", "TIMESTAMP", "VARCHAR", "2026-01-01 00:00:01.5"),
    ["2026-01-01 00:00:01.5"],
  );
});

serviceTest("parse_timestamp takes ISO 8601 to UTC, and refuses the rest", async (rig) => {
  const { db: { dialect } } = rig;
  const zoned = "TIMESTAMP WITH TIME ZONE";
  const parse = (...values: SqlValue[]) =>
    over(rig, "VARCHAR(100)", values, dialect.normalize(x("VARCHAR"), "parse_timestamp", zoned));
  assert.deepEqual(
    await parse(
      "2026-01-01T00:00:00Z",
      "2026-01-01T00:00:00.123456Z",
      "2026-01-01 00:00:00+00",
      "2026-01-01T00:00:00+02:00",
      "2026-01-01T00:00:00-0530",
      "2026-01-01",
      "2026-01-01 10:20",
      "2026-01-01T00:00:00.1234569Z",
      null,
    ),
    [
      "2026-01-01 00:00:00.000000",
      "2026-01-01 00:00:00.123456",
      "2026-01-01 00:00:00.000000",
      "2025-12-31 22:00:00.000000",
      "2026-01-01 05:30:00.000000",
      "2026-01-01 00:00:00.000000",
      "2026-01-01 10:20:00.000000",
      "2026-01-01 00:00:00.123456",
      null,
    ],
  );
  for (const value of ["yesterday", "", "2026-13-01", "2026-02-30T00:00:00Z", "12:00"]) {
    await rejects(parse("2026-01-01", value), "load_rejected", /TIMESTAMP WITH TIME ZONE/);
  }
});

serviceTest("text normalizers know Unicode and all white space", async (rig) => {
  const { db: { dialect } } = rig;
  const apply = (name: "lower" | "upper" | "trim" | "empty_to_null", ...values: SqlValue[]) =>
    over(rig, "VARCHAR(100)", values, dialect.normalize(x("VARCHAR"), name, "VARCHAR"));
  assert.deepEqual(await apply("lower", "ÄÖ Ж É"), ["äö ж é"]);
  assert.deepEqual(await apply("upper", "äö ж é"), ["ÄÖ Ж É"]);
  assert.deepEqual(await apply("trim", " \t\n\v\f\ra b \n", "\u00a0a"), ["a b", "\u00a0a"]);
  assert.deepEqual(await apply("empty_to_null", "", " ", "a"), [null, " ", "a"]);
});

serviceTest("differs sees case and trailing spaces, and takes NULL for NULL", async (rig) => {
  const { db } = rig;
  const text = `VARCHAR(10) COLLATE utf8mb4_general_ci`;
  await db.run(`CREATE TEMPORARY TABLE p (a ${text}, b ${text}, f FLOAT, g FLOAT)`);
  await db.run(
    "INSERT INTO p VALUES ('a', 'A', 16777215, 16777214), ('a', 'a ', 1, 1), (NULL, NULL, NULL, 1), ('a', 'a', NULL, NULL)",
  );
  const rows = await db.rows<{ d: bigint; e: bigint }>(
    `SELECT ${db.dialect.differs("a", "b")} AS d, ${db.dialect.differs("f", "g")} AS e FROM p`,
  );
  assert.deepEqual(rows.map(({ d }) => d), [1n, 1n, 0n, 0n]);
  assert.deepEqual(rows.map(({ e }) => e), [1n, 0n, 1n, 0n]);
});

serviceTest("the hash of a row is the engine's", async (rig) => {
  const { db, engineSession } = rig;
  const columns = [
    { name: "i", type: "BIGINT" },
    { name: "d", type: "DECIMAL(18,3)" },
    { name: "x", type: "DOUBLE" },
    { name: "b", type: "BOOLEAN" },
    { name: "t", type: "VARCHAR" },
    { name: "z", type: "TIMESTAMP WITH TIME ZONE" },
    { name: "n", type: "TIMESTAMP" },
    { name: "day", type: "DATE" },
    { name: "clock", type: "TIME" },
    { name: "uu", type: "UUID" },
    { name: "f", type: "FLOAT" },
    { name: "raw", type: "BLOB" },
  ];
  const floats = ["0.1", "-1.5", "16777217", "3.4028235e38", "1e-10", "0", "123456.79", "1e10"];
  const bytes = ["''", "'plain ~text$'", "'\\x00\\xFF\\x5C\\x22\\x41$1'", "NULL", "'\\x27é'"];
  const times = ["2026-01-01 00:00:00.12", "2026-01-01 10:00:00", "0001-01-01 00:00:00.000001"];
  const doubles = [
    ...["0.1", "1e15", "1234567890123456", "1e16", "-1.5e100", "1e-5", "-0.00001234", "0.0001"],
    ...["5e-324", "0", "123", "-9.5e-7", "1e-15", "1.25e-16"],
  ];
  const rows = doubles.map((double, at) =>
    `(${at}, ${at}.5::DECIMAL(18,3), ${double}::DOUBLE, ${at % 2 === 0}, ${
      at === 3 ? "NULL" : `'ü${at}😀 '`
    }, TIMESTAMPTZ '${times[at % 3]}+00', TIMESTAMP '${times[at % 3]}', DATE '2026-01-0${
      at % 9 + 1
    }', TIME '12:00:0${at % 10}.${at}', '00112233-4455-6677-8899-aabbccddeeff'::UUID, ${
      floats[at % 8]
    }::FLOAT, ${bytes[at % 5]?.includes("é") ? "encode('\\x27é')" : `${bytes[at % 5]}::BLOB`})`
  );
  const names = columns.map(({ name }) => name).join(", ");
  const query = `SELECT * FROM (VALUES ${rows.join(", ")}) AS v(${names})`;
  await db.run(db.dialect.createStage("h", columns));
  await db.load(
    {
      table: db.dialect.stageName("h"),
      columns: columns.map((column) => ({
        ...column,
        nativeType: "",
        nullable: true,
        hasDefault: false,
      })),
    },
    query,
    engineSession,
  );
  const hashes = (hash: string) => `SELECT lower(hex(${hash})) AS h`;
  const theirs = await db.rows(
    `${
      hashes(db.dialect.rowHash(columns.map(({ name, type }) => ({ sql: `\`${name}\``, type }))))
    } FROM h ORDER BY i`,
  );
  const ours = await engineSession.rows(
    `${
      hashes(duckdbDialect.rowHash(columns.map(({ name, type }) => ({ sql: name, type }))))
    } FROM (${query}) ORDER BY i`,
  );
  assert.deepEqual(theirs, ours);
});
