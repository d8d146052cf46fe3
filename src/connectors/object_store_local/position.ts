import type { Position } from "../../core/offset.ts";

/** How far a file has been read. */
export interface FilePosition {
  /** Rows that are done: the number of the next row, from 0. For text files the rows are lines or records, bad ones included. */
  readonly rows: number;
  /** Where the next row starts, in bytes of the uncompressed text; `undefined` where only the row is known. */
  readonly bytes?: number;
  /** True when the file has been read to its end and is not looked at again. */
  readonly done: boolean;
}

/** A file that nothing was read of. */
export const FILE_START: FilePosition = { rows: 0, bytes: 0, done: false };

/**
 * Positions as they are stored: `17;4096` (17 rows done, the next starts at byte 4096), `17;done`, or `17` alone, which is what the
 * stream makes when it cuts a batch in two: such a place is found again by counting rows.
 */
export function formatPosition(position: FilePosition): Position {
  if (position.done) return `${position.rows};done`;
  return position.bytes === undefined ? `${position.rows}` : `${position.rows};${position.bytes}`;
}

/** The inverse of {@link formatPosition}. */
export function parsePosition(position: Position): FilePosition {
  const [rows = "0", rest] = position.split(";");
  if (rest === "done") return { rows: Number(rows), done: true };
  return rest === undefined
    ? { rows: Number(rows), done: false }
    : { rows: Number(rows), bytes: Number(rest), done: false };
}
