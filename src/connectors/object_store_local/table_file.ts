import { ROW_COLUMN, type UnreadableRows } from "../../core/batch.ts";
import { type MetadataColumn, quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { FilePosition } from "./position.ts";

/** A part of a file that the engine has read into typed columns. */
export interface TablePart {
  readonly table: string;
  /** Names and types of the columns: parts of the same shape can stand in one table. */
  readonly shape: string;
  readonly rows: number;
  readonly bytes: number;
  readonly unreadable?: UnreadableRows;
  readonly position: FilePosition;
  readonly atEnd: boolean;
}

/** Reads a file of records in bounded parts. */
export interface TableFileReader {
  /** The next part, `undefined` when the file has no more rows. */
  next(maxRows: number, maxBytes: number): Promise<TablePart | undefined>;
  close(): Promise<void>;
}

/** Names that a source adds to every row; a file's own column of that name gives way. */
const TAKEN: ReadonlySet<string> = new Set(["_partition", "_offset", ROW_COLUMN]);

/** The column of a file that gives the event time of its rows, instead of becoming a user's column. */
export const EVENT_TIME_COLUMN = "_event_ts" satisfies MetadataColumn;

/**
 * Column names as the engine can hold them: different from each other without regard to case, and from the metadata. A name that is taken
 * gets a number (`id_1`), an empty one is called `column_3` by its place.
 */
export function usableNames(names: readonly string[]): string[] {
  const used = new Set<string>(TAKEN);
  return names.map((given, at) => {
    const wanted = given.trim() === "" ? `column_${at + 1}` : given;
    let name = wanted;
    for (let n = 1; used.has(name.toLowerCase()); n += 1) name = `${wanted}_${n}`;
    used.add(name.toLowerCase());
    return name;
  });
}

/** The metadata columns of a part, as a select list. */
export function metadataColumns(
  partition: string,
  offset: string,
  eventTime: string,
  row: string,
): string {
  return `${quoteLiteral(partition)}::VARCHAR AS _partition, (${offset})::BIGINT AS _offset, ` +
    `${eventTime} AS _event_ts, (${row})::BIGINT AS ${quoteIdentifier(ROW_COLUMN)}`;
}
