/** What the tests of the decoders share; no test itself. */
import assert from "node:assert/strict";
import { ROW_COLUMN, type SourceBatch } from "../core/batch.ts";
import type { Decoded, Decoder } from "../core/decoder.ts";
import { type Column, quoteIdentifier } from "../core/schema.ts";
import type { Engine, Session, SqlValue } from "../core/session.ts";
import { createEngine } from "../sql/engine.ts";
import { jsonRow } from "./json_text.ts";

export type Payload = string | Uint8Array | null;

/** A decoder's table is looked at in the engine that `withDecoding` opens. */
export interface Decoding {
  readonly engine: Engine;
  readonly session: Session;
  /** Makes a batch of the payloads, decodes it, and drops the raw table. */
  decode(decoder: Decoder, payloads: readonly Payload[], as?: "text" | "bytes"): Promise<Decoded>;
  /** All that the batch gave, tables dropped: rows as JSON texts by row number, columns of each part, rejections by row number. */
  read(decoded: Decoded): Promise<Outcome>;
  /** Fails when there are any tables. */
  assertNoTables(): Promise<void>;
}

export interface Outcome {
  readonly parts: readonly {
    readonly columns: readonly Column[];
    readonly rows: readonly number[];
  }[];
  readonly json: ReadonlyMap<number, string>;
  readonly rejected: ReadonlyMap<number, string>;
  readonly schemaChange: string | undefined;
}

export async function withDecoding(work: (decoding: Decoding) => Promise<void>): Promise<void> {
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
  const engine = await createEngine({ scratchDir });
  try {
    const session = await engine.connect();
    await work({
      engine,
      session,
      decode: (decoder, payloads, as = "text") => decode(engine, session, decoder, payloads, as),
      read: (decoded) => read(session, decoded),
      assertNoTables: async () => {
        assert.deepEqual(await session.rows("SELECT table_name FROM duckdb_tables()"), []);
      },
    });
  } finally {
    await engine.close();
    await Deno.remove(scratchDir, { recursive: true });
  }
}

/** The broker's time of row 0 in microseconds; every row is a second later. */
export const FIRST_EVENT_MICROS = 1_767_225_600_000_000n;

async function decode(
  engine: Engine,
  session: Session,
  decoder: Decoder,
  payloads: readonly Payload[],
  as: "text" | "bytes",
): Promise<Decoded> {
  const encoder = new TextEncoder();
  const bytes = payloads.map((p) => typeof p === "string" ? encoder.encode(p) : p);
  const payload = new Uint8Array(bytes.reduce((sum, p) => sum + (p?.length ?? 0) + 1, 0));
  const starts = new Int32Array(bytes.length);
  const ends = new Int32Array(bytes.length);
  let at = 0;
  bytes.forEach((p, row) => {
    starts[row] = p === null ? -1 : at;
    if (p === null) return;
    payload.set(p, at);
    at += p.length;
    ends[row] = at;
    at += 1;
  });
  const table = engine.newName("raw");
  await engine.ingestPayloads(session, table, {
    count: bytes.length,
    payload,
    starts,
    ends,
    partitions: new Int32Array(bytes.length).fill(3),
    offsets: BigInt64Array.from(bytes, (_p, row) => BigInt(row) + 100n),
    eventTimesMicros: BigInt64Array.from(
      bytes,
      (_p, row) => FIRST_EVENT_MICROS + BigInt(row) * 1_000_000n,
    ),
  }, as);
  const batch: SourceBatch = {
    sourceId: "test",
    table,
    encoding: as === "text" ? "json" : "raw_bytes",
    rows: bytes.length,
    bytes: payload.length,
    ranges: [],
  };
  try {
    return await decoder.decode(session, batch);
  } finally {
    await session.run(`DROP TABLE ${quoteIdentifier(table)}`);
  }
}

async function read(session: Session, decoded: Decoded): Promise<Outcome> {
  const json = new Map<number, string>();
  const parts = [];
  for (const part of decoded.parts) {
    const table = quoteIdentifier(part.table);
    const described = await session.rows<{ column_name: string; column_type: string }>(
      `DESCRIBE ${table}`,
    );
    const names = described.map((column) => column.column_name);
    const metadata = ["_partition", "_offset", "_event_ts", "_key", "_headers", ROW_COLUMN];
    assert.deepEqual(names, [...part.columns.map((column) => column.name), ...metadata]);
    part.columns.forEach((column, at) =>
      assert.equal(unquoted(described[at]?.column_type ?? ""), unquoted(column.type))
    );
    const rows = await session.rows<{ row: bigint; offset: bigint; json: string }>(
      `SELECT ${ROW_COLUMN} AS "row", _offset AS "offset", ${
        jsonRow(part.columns)
      } AS json FROM ${table}`,
    );
    assert.equal(rows.length, part.rows);
    const numbers = rows.map((row) => Number(row.row));
    assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b), "rows keep their order");
    for (const row of rows) {
      assert.equal(row.offset, row.row + 100n);
      assert.ok(!json.has(Number(row.row)), "no row twice");
      json.set(Number(row.row), row.json);
    }
    parts.push({ columns: part.columns, rows: numbers });
    await session.run(`DROP TABLE ${table}`);
  }
  const rejected = new Map<number, string>();
  if (decoded.rejected !== undefined) {
    const table = quoteIdentifier(decoded.rejected.table);
    assert.equal(decoded.rejected.by, "row_number");
    const rows = await session.rows<Record<string, SqlValue>>(`SELECT * FROM ${table}`);
    assert.equal(rows.length, decoded.rejected.count);
    for (const row of rows) {
      assert.ok(!json.has(Number(row[ROW_COLUMN])), "a rejected row has no output");
      rejected.set(Number(row[ROW_COLUMN]), String(row["_error"]));
    }
    await session.run(`DROP TABLE ${table}`);
  }
  return { parts, json, rejected, schemaChange: decoded.schemaChange };
}

/** The type text without the quotes that its names do not need. */
export function unquoted(type: string): string {
  return type.replaceAll(/"(\w+)"/g, "$1");
}
