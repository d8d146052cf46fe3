import { ROW_COLUMN, type SourceBatch } from "../core/batch.ts";
import type { Decoded, Decoder } from "../core/decoder.ts";
import { type Column, quoteIdentifier } from "../core/schema.ts";
import type { Session } from "../core/session.ts";

const COLUMNS: readonly Column[] = [{ name: "payload", type: "BLOB" }];
let uses = 0;

/**
 * A decoder that leaves payloads as they are: one column `payload` BLOB beside the metadata, NULL for a row without payload. Takes
 * tables of text payloads as well as of bytes. No row is rejected.
 */
export function createRawBytesDecoder(): Decoder {
  return { columns: COLUMNS, decode };
}

async function decode(session: Session, batch: SourceBatch): Promise<Decoded> {
  if (batch.rows === 0) return { parts: [] };
  uses += 1;
  const table = `${batch.table}_bytes${uses}`;
  const raw = quoteIdentifier(batch.table);
  const types = await session.describe(`SELECT _payload FROM ${raw}`);
  const payload = types[0]?.type === "BLOB"
    ? "_payload"
    : "coalesce(_undecodable, encode(_payload))";
  await session.run(
    `CREATE TABLE ${quoteIdentifier(table)} AS SELECT ${payload} AS payload, ` +
      `_partition, _offset, _event_ts, _key, _headers, ${ROW_COLUMN} FROM ${raw}`,
  );
  return { parts: [{ table, columns: COLUMNS, hasRowColumn: true, rows: batch.rows }] };
}
