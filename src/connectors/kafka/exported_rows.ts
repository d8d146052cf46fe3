import { Buffer } from "node:buffer";

/** One row on its way to a topic. */
export interface ExportedRow {
  /** The row's number, or an empty text. */
  readonly row: string;
  readonly key: string | null;
  /** The row as JSON text: a copy, free to be kept. */
  readonly value: Buffer;
}

const TAB = 0x09;
const LINE_END = 0x0a;

/**
 * Rows out of exported text: lines of row number, key (as a JSON text, or empty) and value, with tabs between. The value may hold tabs too.
 */
export async function* exportedRows(pieces: AsyncIterable<Uint8Array>): AsyncIterable<ExportedRow> {
  // The part of a line that the last piece ended with.
  let rest = Buffer.alloc(0);
  for await (const piece of pieces) {
    const bytes = rest.length === 0
      ? Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
      : Buffer.concat([rest, piece]);
    let start = 0;
    for (
      let end = bytes.indexOf(LINE_END, start);
      end !== -1;
      end = bytes.indexOf(LINE_END, start)
    ) {
      yield exportedRow(bytes.subarray(start, end));
      start = end + 1;
    }
    rest = Buffer.from(bytes.subarray(start));
  }
  if (rest.length > 0) yield exportedRow(rest);
}

function exportedRow(line: Buffer): ExportedRow {
  const keyAt = line.indexOf(TAB) + 1;
  const valueAt = line.indexOf(TAB, keyAt) + 1;
  const key = line.toString("utf8", keyAt, valueAt - 1);
  return {
    row: line.toString("latin1", 0, keyAt - 1),
    key: key === "" ? null : String(JSON.parse(key)),
    value: Buffer.from(line.subarray(valueAt)),
  };
}
