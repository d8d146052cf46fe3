import type { Position } from "../../core/offset.ts";

/** How far a file has been read. */
export interface FilePosition {
  /** Rows that are done: the number of the next row, from 0. For text files the rows are lines or records, bad ones included. */
  readonly rows: number;
  /** Where the next row starts, in bytes of the uncompressed text; `undefined` where only the row is known. */
  readonly bytes?: number;
  /** True when the file has been read to its end. With no rows, nothing of it was handed over: it was refused as a whole. */
  readonly done: boolean;
  /** What tells the file that was read from another one under its name, where that is known. */
  readonly seal?: string;
}

/** A file that nothing was read of. */
export const FILE_START: FilePosition = { rows: 0, bytes: 0, done: false };

/**
 * Positions as they are stored: `17;4096;f00dcafe` (17 rows done, the next starts at byte 4096, in the file with that seal), `17;done;…`, or
 * `17` alone, which is what the stream makes when it cuts a batch in two: such a place is found again by counting rows. The seal may be missing.
 */
export function formatPosition({ rows, bytes, done, seal }: FilePosition): Position {
  const place = done ? "done" : bytes;
  if (place === undefined) return `${rows}`;
  return seal === undefined ? `${rows};${place}` : `${rows};${place};${seal}`;
}

/** The inverse of {@link formatPosition}. */
export function parsePosition(position: Position): FilePosition {
  const [rows = "0", place, seal] = position.split(";");
  const sealed = seal === undefined ? {} : { seal };
  if (place === "done") return { rows: Number(rows), done: true, ...sealed };
  return place === undefined
    ? { rows: Number(rows), done: false }
    : { rows: Number(rows), bytes: Number(place), done: false, ...sealed };
}

/** The seal of a file that is read once: its size and when it was changed. */
export function statSeal(file: { readonly size: number; readonly modifiedMs: number }): string {
  return `${file.size}-${file.modifiedMs}`;
}

/** How many of a text's first bytes its seal is made of. */
export const SEALED_BYTES = 1024;

/**
 * The seal of a text that may grow, read up to byte `to`: a hash (FNV-1a) of its first bytes, which stay when something is added.
 *
 * @param head the text's first bytes, at least {@link SEALED_BYTES} or `to` of them
 */
export function headSeal(head: Uint8Array, to: number): string {
  let hash = 0x811c9dc5;
  for (const byte of head.subarray(0, Math.min(to, SEALED_BYTES))) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, "0");
}
