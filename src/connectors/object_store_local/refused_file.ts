import type { SourceBatch, UnreadableRows } from "../../core/batch.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import type { Engine, Session } from "../../core/session.ts";
import { metadataColumns } from "./table_file.ts";

/** The tables of a batch that holds nothing but a refusal. */
export interface RefusedFile extends Pick<SourceBatch, "table"> {
  readonly unreadable: UnreadableRows;
}

/**
 * Makes the one refused row that stands for what cannot be read of a file. Its payload is the file's path.
 *
 * @param row the row's number: that of the first row that could not be read
 */
export async function refusedFile(
  engine: Engine,
  session: Session,
  path: string,
  row: number,
  reason: string,
): Promise<RefusedFile> {
  const payload = new TextEncoder().encode(path);
  const raw = engine.newName("refused_file");
  await engine.ingestPayloads(session, raw, {
    count: 1,
    payload,
    starts: Int32Array.of(0),
    ends: Int32Array.of(payload.length),
    partitions: Int32Array.of(0),
    partitionNames: [path],
    offsets: BigInt64Array.of(BigInt(row)),
  }, "text");
  const what = row === 0
    ? `the file '${path}'`
    : `the rest of the file '${path}', from row ${row} on,`;
  const unreadable = engine.newName("unreadable");
  const table = engine.newName("nothing");
  await session.run(
    `CREATE TABLE ${quoteIdentifier(unreadable)} AS SELECT *, $1::VARCHAR AS _error FROM ${
      quoteIdentifier(raw)
    }`,
    [`${what} cannot be read: ${reason}`],
  );
  await session.run(
    `DROP TABLE ${quoteIdentifier(raw)}; CREATE TABLE ${quoteIdentifier(table)} AS SELECT ${
      metadataColumns(path, "0", "NULL::TIMESTAMPTZ", "0")
    } WHERE false`,
  );
  return { table, unreadable: { table: unreadable, count: 1 } };
}
