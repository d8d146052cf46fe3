const LINE_END = 0x0a;

/**
 * Cuts pieces of text after line ends: each piece that comes out is a copy of its own and holds whole lines. The text ends with a line end.
 */
export async function* wholeLines(
  pieces: AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array<ArrayBuffer>> {
  let rest: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  for await (const piece of pieces) {
    const end = piece.lastIndexOf(LINE_END) + 1;
    const lines = new Uint8Array(end === 0 ? 0 : rest.length + end);
    if (end > 0) {
      lines.set(rest);
      lines.set(piece.subarray(0, end), rest.length);
      rest = piece.slice(end);
      yield lines;
      continue;
    }
    const longer = new Uint8Array(rest.length + piece.length);
    longer.set(rest);
    longer.set(piece, rest.length);
    rest = longer;
  }
}
