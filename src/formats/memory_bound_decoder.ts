import { type Batch, type RejectedRows, ROW_COLUMN, type SourceBatch } from "../core/batch.ts";
import type { Decoded, Decoder } from "../core/decoder.ts";
import { FlowError } from "../core/error.ts";
import { quoteIdentifier, quoteLiteral } from "../core/schema.ts";
import type { Session } from "../core/session.ts";

/**
 * The decoder, for batches of any size: one that is too much for the engine's memory is decoded in halves, and a row that is so by itself is
 * rejected. Without it, one message with millions of values would end the run at every start.
 *
 * @example
 * ```ts
 * const decoder = withinMemory(createJsonDecoder({ inferTimes: true }));
 * ```
 */
export function withinMemory(decoder: Decoder): Decoder {
  return {
    get columns() {
      return decoder.columns;
    },
    decode: (session, batch) => decodeWithin(decoder, session, batch),
  };
}

async function decodeWithin(
  decoder: Decoder,
  session: Session,
  batch: SourceBatch,
): Promise<Decoded> {
  try {
    return await decoder.decode(session, batch);
  } catch (error) {
    if (!(error instanceof FlowError) || error.code !== "sql_out_of_memory") throw error;
    if (batch.rows > 1) return await decodeHalves(decoder, session, batch);
    return { parts: [], rejected: await rejectAll(session, batch, error) };
  }
}

async function decodeHalves(
  decoder: Decoder,
  session: Session,
  batch: SourceBatch,
): Promise<Decoded> {
  const raw = quoteIdentifier(batch.table);
  const [found] = await session.rows<{ middle: bigint }>(
    `SELECT ${ROW_COLUMN} AS middle FROM ${raw} ORDER BY ${ROW_COLUMN} LIMIT 1 OFFSET ${
      Math.floor(batch.rows / 2)
    }`,
  );
  const middle = found?.middle ?? 0n;
  const decoded: Decoded[] = [];
  for (
    const [name, where, rows] of [
      ["low", `${ROW_COLUMN} < ${middle}`, Math.floor(batch.rows / 2)],
      ["high", `${ROW_COLUMN} >= ${middle}`, Math.ceil(batch.rows / 2)],
    ] as const
  ) {
    const table = `${batch.table}_${name}`;
    const half = quoteIdentifier(table);
    await session.run(`CREATE TABLE ${half} AS SELECT * FROM ${raw} WHERE ${where}`);
    decoded.push(await decodeWithin(decoder, session, { ...batch, table, rows }));
    await session.run(`DROP TABLE ${half}`);
  }
  return await joined(session, decoded);
}

async function joined(session: Session, halves: readonly Decoded[]): Promise<Decoded> {
  const parts: Batch[] = halves.flatMap((half) => half.parts);
  const rejections = halves.flatMap(({ rejected }) => rejected ?? []);
  const changes = halves.flatMap(({ schemaChange }) => schemaChange ?? []);
  const [first, ...others] = rejections;
  let rejected = first;
  for (const { table, count } of others) {
    if (rejected === undefined) break;
    await session.run(
      `INSERT INTO ${quoteIdentifier(rejected.table)} BY NAME FROM ${quoteIdentifier(table)}`,
    );
    await session.run(`DROP TABLE ${quoteIdentifier(table)}`);
    rejected = { ...rejected, count: rejected.count + count };
  }
  return {
    parts,
    ...(rejected === undefined ? {} : { rejected }),
    ...(changes.length === 0 ? {} : { schemaChange: changes.join("; ") }),
  };
}

async function rejectAll(
  session: Session,
  batch: SourceBatch,
  error: FlowError,
): Promise<RejectedRows> {
  const table = `${batch.table}_too_large`;
  await session.run(
    `CREATE TABLE ${quoteIdentifier(table)} AS SELECT ${ROW_COLUMN}, ` +
      `${quoteLiteral(`the row by itself is too much: ${error.message}`)} AS _error ` +
      `FROM ${quoteIdentifier(batch.table)}`,
  );
  return { table, count: batch.rows, by: "row_number" };
}
