import {
  BIGINT,
  BLOB,
  blobValue,
  BOOLEAN,
  type DuckDBConnection,
  DuckDBDataChunk,
  type DuckDBType,
  type DuckDBValue,
  type DuckDBVector,
  INTEGER,
  TIMESTAMPTZ,
  VARCHAR,
} from "@duckdb/node-api";
import { ROW_COLUMN } from "../core/batch.ts";
import { quoteIdentifier, quoteLiteral } from "../core/schema.ts";
import type { PayloadRows } from "../core/session.ts";

/** Stands between payloads when all of them are bound as one value. Not allowed inside JSON text, so JSON never holds it. */
const SEPARATOR = 0x1e;
/** Payload bytes that are split by one statement. */
const SLICE_BYTES = 2 * 1024 * 1024;
/** Rows of a data chunk: DuckDB's vector size. */
const CHUNK_ROWS = 2048;

/**
 * Makes the raw table `name` (see `Engine.ingestPayloads`). Text payloads take the fast way: all of them bound as one value that the
 * engine decodes and splits, the numbers beside them copied as typed arrays; no payload becomes a JavaScript string. When that cannot
 * be (a payload that is not UTF-8 or holds the separator), the rows are appended one by one.
 */
export async function ingest(
  connection: DuckDBConnection,
  name: string,
  rows: PayloadRows,
  as: "text" | "bytes",
  metaName: string,
): Promise<void> {
  const table = quoteIdentifier(name);
  const meta = quoteIdentifier(metaName);
  try {
    if (as === "text" && rows.count > 0) {
      await createMetadata(connection, metaName, rows, false);
      if (await ingestSplit(connection, table, meta, `${metaName}_pieces`, rows)) return;
    }
    await createMetadata(connection, metaName, rows, true);
    await connection.run(
      as === "bytes" ? rawTable(table, rows, "payload_bytes", "NULL::BLOB", meta) : rawTable(
        table,
        rows,
        "try(decode(payload_bytes))",
        "CASE WHEN try(decode(payload_bytes)) IS NULL THEN payload_bytes END",
        meta,
      ),
    );
  } finally {
    await connection.run(`DROP TABLE IF EXISTS ${meta}`);
  }
}

function rawTable(
  table: string,
  rows: PayloadRows,
  payload: string,
  undecodable: string,
  from: string,
): string {
  const partition = rows.partitionNames === undefined
    ? "_partition"
    : `([${rows.partitionNames.map(quoteLiteral).join(", ")}]::VARCHAR[])[_partition + 1]`;
  return `CREATE TABLE ${table} AS SELECT ${payload} AS _payload, ${undecodable} AS _undecodable, ` +
    `${partition} AS _partition, _offset, ` +
    `${rows.eventTimesMicros === undefined ? "NULL::TIMESTAMPTZ AS _event_ts" : "_event_ts"}, ` +
    `${rows.keys === undefined ? "NULL::VARCHAR AS _key" : "_key"}, ` +
    `${rows.headers === undefined ? "NULL::VARCHAR AS _headers" : "_headers"}, ` +
    `${ROW_COLUMN} FROM ${from}`;
}

/**
 * Splits into a table of its own first, slice by slice, and joins the numbers then: splitting below a `POSITIONAL JOIN` takes four times
 * as long, and splitting all at once several times the batch's memory.
 */
async function ingestSplit(
  connection: DuckDBConnection,
  table: string,
  meta: string,
  piecesName: string,
  rows: PayloadRows,
): Promise<boolean> {
  const pieces = quoteIdentifier(piecesName);
  await connection.run(`CREATE TABLE ${pieces} (piece VARCHAR)`);
  try {
    const statement = await connection.prepare(
      // The inner query keeps the value out of the name that the engine makes for `unnest(…)`: it would write out all the bytes.
      `INSERT INTO ${pieces} SELECT unnest(texts) FROM ` +
        `(SELECT string_split(decode($1::BLOB), chr(${SEPARATOR})) AS texts)`,
    );
    try {
      for (const slice of joinedSlices(rows)) {
        statement.bindBlob(1, slice);
        await statement.run();
      }
    } catch (error) {
      // Not UTF-8 somewhere: only the slow way can say which row.
      if (error instanceof Error && error.message.includes("could not convert blob to UTF8")) {
        return false;
      }
      throw error;
    } finally {
      statement.destroySync();
    }
    const counted = await connection.runAndReadAll(`SELECT count(*) AS n FROM ${pieces}`);
    // More pieces than rows: a payload holds the separator.
    if (Number(counted.getRows()[0]?.[0]) !== rows.count) return false;
    const payload = hasNulls(rows) ? "CASE WHEN has_payload THEN piece END" : "piece";
    await connection.run(
      rawTable(table, rows, payload, "NULL::BLOB", `${pieces} POSITIONAL JOIN ${meta}`),
    );
    return true;
  } finally {
    await connection.run(`DROP TABLE IF EXISTS ${pieces}`);
  }
}

function hasNulls(rows: PayloadRows): boolean {
  return rows.starts.subarray(0, rows.count).includes(-1);
}

/** The joined payloads in slices of about {@link SLICE_BYTES}, cut between rows. */
function* joinedSlices(rows: PayloadRows): Iterable<Uint8Array> {
  const inPlace = liesWithGaps(rows);
  let from = 0;
  for (let row = 0, bytes = 0; row < rows.count; row += 1) {
    const start = rows.starts[row] ?? -1;
    bytes += start === -1 ? 1 : (rows.ends[row] ?? 0) - start + 1;
    if (bytes < SLICE_BYTES && row < rows.count - 1) continue;
    yield inPlace ? joinInPlace(rows, from, row + 1) : joinByCopy(rows, from, row + 1);
    from = row + 1;
    bytes = 0;
  }
}

/** True when the payloads lie back to back with one byte between them, none missing. */
function liesWithGaps({ starts, ends, count }: PayloadRows): boolean {
  if (starts[0] === -1) return false;
  for (let row = 1; row < count; row += 1) {
    if (starts[row] !== (ends[row - 1] ?? 0) + 1) return false;
  }
  return true;
}

/** Payloads that lie with gaps are used where they are: the gaps become separators. */
function joinInPlace({ payload, starts, ends }: PayloadRows, from: number, to: number): Uint8Array {
  for (let row = from; row < to - 1; row += 1) payload[ends[row] ?? 0] = SEPARATOR;
  return payload.subarray(starts[from] ?? 0, ends[to - 1] ?? 0);
}

function joinByCopy({ payload, starts, ends }: PayloadRows, from: number, to: number): Uint8Array {
  let length = to - from - 1;
  for (let row = from; row < to; row += 1) {
    if (starts[row] !== -1) length += (ends[row] ?? 0) - (starts[row] ?? 0);
  }
  const joined = new Uint8Array(length);
  let at = 0;
  for (let row = from; row < to; row += 1) {
    if (row > from) joined[at++] = SEPARATOR;
    const start = starts[row] ?? -1;
    if (start === -1) continue;
    joined.set(payload.subarray(start, ends[row]), at);
    at += (ends[row] ?? 0) - start;
  }
  return joined;
}

/** One column of the table of metadata that stands beside the payloads while they are split. */
interface MetaColumn {
  readonly declaration: string;
  readonly type: DuckDBType;
  /** Fills the vector with `length` rows from row `from`. */
  fill(vector: DuckDBVector, from: number, length: number): void;
}

function metaColumns(rows: PayloadRows, withPayloads: boolean): MetaColumn[] {
  const { keys, headers, eventTimesMicros } = rows;
  const rowNumbers = new BigInt64Array(CHUNK_ROWS);
  const texts = new TextDecoder("utf-8", { ignoreBOM: true });
  const numbers =
    (array: Int32Array | BigInt64Array): MetaColumn["fill"] => (vector, from, length) =>
      copyNumbers(vector, array.subarray(from, from + length));
  const items =
    (item: (row: number) => DuckDBValue): MetaColumn["fill"] => (vector, from, length) => {
      for (let row = 0; row < length; row += 1) vector.setItem(row, item(from + row));
      vector.flush();
    };
  const columns: MetaColumn[] = [
    { declaration: "_partition INTEGER", type: INTEGER, fill: numbers(rows.partitions) },
    { declaration: "_offset BIGINT", type: BIGINT, fill: numbers(rows.offsets) },
    {
      declaration: `${ROW_COLUMN} BIGINT`,
      type: BIGINT,
      fill: (vector, from, length) => {
        for (let row = 0; row < length; row += 1) rowNumbers[row] = BigInt(from + row);
        copyNumbers(vector, rowNumbers.subarray(0, length));
      },
    },
  ];
  if (eventTimesMicros !== undefined) {
    columns.push({
      declaration: "_event_ts TIMESTAMPTZ",
      type: TIMESTAMPTZ,
      fill: numbers(eventTimesMicros),
    });
  }
  if (keys !== undefined) {
    columns.push({
      declaration: "_key VARCHAR",
      type: VARCHAR,
      fill: items((row) => {
        const start = keys.starts[row] ?? -1;
        return start === -1 ? null : texts.decode(keys.bytes.subarray(start, keys.ends[row]));
      }),
    });
  }
  if (headers !== undefined) {
    columns.push({
      declaration: "_headers VARCHAR",
      type: VARCHAR,
      fill: items((row) => headers[row] ?? null),
    });
  }
  if (withPayloads) {
    columns.push({
      declaration: "payload_bytes BLOB",
      type: BLOB,
      fill: items((row) => {
        const start = rows.starts[row] ?? -1;
        return start === -1 ? null : blobValue(rows.payload.subarray(start, rows.ends[row]));
      }),
    });
  } else if (hasNulls(rows)) {
    columns.push({
      declaration: "has_payload BOOLEAN",
      type: BOOLEAN,
      fill: items((row) => rows.starts[row] !== -1),
    });
  }
  return columns;
}

/** Makes the table of the metadata that the rows have, and of the payloads when they cannot be split. */
async function createMetadata(
  connection: DuckDBConnection,
  metaName: string,
  rows: PayloadRows,
  withPayloads: boolean,
): Promise<void> {
  const columns = metaColumns(rows, withPayloads);
  await connection.run(
    `CREATE OR REPLACE TABLE ${quoteIdentifier(metaName)} ` +
      `(${columns.map((column) => column.declaration).join(", ")})`,
  );
  const appender = await connection.createAppender(metaName);
  try {
    const chunk = DuckDBDataChunk.create(columns.map((column) => column.type));
    for (let from = 0; from < rows.count; from += CHUNK_ROWS) {
      const length = Math.min(CHUNK_ROWS, rows.count - from);
      chunk.reset();
      chunk.rowCount = length;
      columns.forEach((column, at) => column.fill(chunk.getColumnVector(at), from, length));
      appender.appendDataChunk(chunk);
    }
  } finally {
    appender.closeSync();
  }
}

/** Copies a typed array into a vector of the same width. */
function copyNumbers(vector: DuckDBVector, numbers: Int32Array | BigInt64Array): void {
  // The vector's own buffer is private in the client's types, though it is the documented layout of every fixed-width vector;
  // item-wise access would make a bigint or number object per value.
  const items = (vector as unknown as { items: Int32Array | BigInt64Array }).items;
  if (items instanceof BigInt64Array && numbers instanceof BigInt64Array) items.set(numbers);
  else if (items instanceof Int32Array && numbers instanceof Int32Array) items.set(numbers);
  else throw new TypeError("the vector does not have the width of the numbers");
  vector.flush();
}
