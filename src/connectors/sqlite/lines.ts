const OPEN = 0x5b;
const CLOSE = 0x5d;
const LINE_END = 0x0a;
/** Length of what stands between rows: a comma and a line end. */
const BETWEEN = 2;

/**
 * Text of JSON rows, each followed by a comma and a line end, in pieces cut anywhere, as JSON arrays of whole rows. Every array is a copy of
 * its own.
 */
export async function* rowArrays(
  pieces: AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array<ArrayBuffer>> {
  let rest: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  for await (const piece of pieces) {
    const end = piece.lastIndexOf(LINE_END) + 1;
    if (end > 0) {
      const text = new Uint8Array(1 + rest.length + end - BETWEEN + 1);
      text[0] = OPEN;
      text.set(rest, 1);
      text.set(piece.subarray(0, Math.max(0, end - BETWEEN)), 1 + rest.length);
      // The comma may stand at the end of the piece before, where it is overwritten.
      text[text.length - 1] = CLOSE;
      rest = piece.slice(end);
      yield text;
      continue;
    }
    const longer = new Uint8Array(rest.length + piece.length);
    longer.set(rest);
    longer.set(piece, rest.length);
    rest = longer;
  }
}
