import assert from "node:assert/strict";
import { ROW_COLUMN, type SourceBatch } from "../core/batch.ts";
import type { DeadLetter } from "../core/dead_letter.ts";
import type { Engine, Session } from "../core/session.ts";
import { createEngine } from "../sql/engine.ts";
import { deadLettersOf, type Refusal, rejectionError } from "./dead_letters.ts";

const SOURCE: SourceBatch = {
  sourceId: "orders",
  table: "raw_rows",
  encoding: "columns",
  rows: 2,
  bytes: 0,
  ranges: [{ sourceId: "orders", partition: "a.parquet", from: "0", to: "2" }],
};
const METADATA = "'a.parquet' AS _partition, i AS _offset, NULL::TIMESTAMPTZ AS _event_ts, " +
  `i AS ${ROW_COLUMN}`;

async function withEngine(
  work: (engine: Engine, session: Session) => Promise<void>,
): Promise<void> {
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
  const engine = await createEngine({ scratchDir });
  try {
    await work(engine, await engine.connect());
  } finally {
    await engine.close();
    await Deno.remove(scratchDir, { recursive: true });
  }
}

async function lettersOf(
  engine: Engine,
  session: Session,
  refusal: Refusal,
): Promise<DeadLetter[][]> {
  const context = { pipeline: "p", attempt: 3, failedAtMs: 5 };
  const pieces: DeadLetter[][] = [];
  for await (const piece of deadLettersOf(engine, session, refusal, context)) pieces.push(piece);
  return pieces;
}

function text(letter: DeadLetter | undefined): string {
  return new TextDecoder().decode(letter?.payload ?? undefined);
}

Deno.test("the payload of a typed row is valid JSON of its own columns, as everywhere else", () =>
  withEngine(async (engine, session) => {
    await session.run(
      `CREATE TABLE raw_rows AS SELECT i AS id, 'nan'::DOUBLE AS d, '\\xAB'::BLOB AS b, ` +
        `make_timestamptz(0) AS t, ${METADATA} FROM range(2) r(i)`,
    );
    await session.run(`CREATE TABLE refused AS SELECT 'no' AS _error, 1 AS ${ROW_COLUMN}`);
    const refusal: Refusal = {
      stage: "write",
      rejected: { table: "refused", count: 1, by: "row_number" },
      source: SOURCE,
    };
    const [[letter] = []] = await lettersOf(engine, session, refusal);
    assert.equal(text(letter), '{"id":1,"d":null,"b":"ab","t":"1970-01-01T00:00:00Z"}');
    assert.deepEqual({ ...letter, payload: undefined }, {
      id: "orders/a.parquet/1",
      pipeline: "p",
      stage: "write",
      error: "no",
      sourceId: "orders",
      partition: "a.parquet",
      offset: 1n,
      attempt: 3,
      failedAtMs: 5,
      eventTimeMicros: null,
      payloadFormat: "columns",
      payload: undefined,
      key: null,
    });
    const error = await rejectionError(session, refusal);
    assert.match(
      error.message,
      /cannot write the row at source 'orders' partition a.parquet offset 1: no/,
    );
  }));

Deno.test("what the source could not read is its bytes, and does not call itself JSON", () =>
  withEngine(async (engine, session) => {
    await session.run(`CREATE TABLE raw_rows AS SELECT i AS id, ${METADATA} FROM range(2) r(i)`);
    await session.run(
      `CREATE TABLE unreadable AS SELECT CASE i WHEN 0 THEN 'a,b' END AS _payload, ` +
        `CASE i WHEN 1 THEN '\\xFF'::BLOB END AS _undecodable, ${METADATA}, NULL::VARCHAR AS _key, ` +
        "'too few fields' AS _error FROM range(2) r(i)",
    );
    const [letters = []] = await lettersOf(engine, session, {
      stage: "decode",
      rejected: { table: "unreadable", count: 2, by: "row_number" },
      source: SOURCE,
      unreadable: true,
    });
    assert.deepEqual(
      letters.map(({ payloadFormat, error, offset }) => [payloadFormat, error, offset]),
      [
        ["raw_bytes", "too few fields", 0n],
        ["raw_bytes", "too few fields", 1n],
      ],
    );
    assert.equal(text(letters[0]), "a,b");
    assert.deepEqual([...letters[1]?.payload ?? []], [0xff]);
  }));

Deno.test("many refused rows come in pieces, in source order, and leave no table behind", () =>
  withEngine(async (engine, session) => {
    await session.run(`CREATE TABLE raw_rows AS SELECT i AS id, ${METADATA} FROM range(5000) r(i)`);
    await session.run(
      `CREATE TABLE refused AS SELECT 'no' AS _error, i AS ${ROW_COLUMN} FROM range(5000) r(i) ` +
        "WHERE i % 2 = 1 ORDER BY hash(i)",
    );
    const tables = () => session.rows("SELECT table_name FROM duckdb_tables()");
    const before = await tables();
    const pieces = await lettersOf(engine, session, {
      stage: "write",
      rejected: { table: "refused", count: 2500, by: "row_number" },
      source: SOURCE,
    });
    assert.deepEqual(pieces.map(({ length }) => length), [1000, 1000, 500]);
    assert.deepEqual(
      pieces.flat().map(({ offset }) => Number(offset)),
      Array.from({ length: 2500 }, (_, at) => 2 * at + 1),
    );
    assert.deepEqual(await tables(), before);
  }));
