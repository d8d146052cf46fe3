import assert from "node:assert/strict";
import { FrameCutter } from "./frame_cutter.ts";

function frame(type: string, content: string): Uint8Array {
  const bytes = new TextEncoder().encode(content);
  const message = new Uint8Array(5 + bytes.length);
  message[0] = type.charCodeAt(0);
  new DataView(message.buffer).setUint32(1, 4 + bytes.length);
  message.set(bytes, 5);
  return message;
}

const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
const join = (parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));

const MESSAGES = [
  frame("H", "\0\0\x01"),
  frame("d", "1,one\n"),
  frame("d", ""),
  frame("N", "a notice in between"),
  frame("d", "2,a longer row than the others, which never fits\n"),
  frame("d", "\n"),
  frame("c", ""),
  frame("C", "COPY 4\0"),
  frame("Z", "I"),
];
const ROWS = MESSAGES.filter((message) => message[0] === 0x64);

Deno.test("rows and messages come out, wherever the chunks end", () => {
  const stream = join(MESSAGES);
  for (const strips of [true, false]) {
    for (let size = 1; size <= stream.length; size += 1) {
      const cutter = new FrameCutter(strips);
      const others: string[] = [];
      let [out, rows, longest] = ["", 0, 0];
      for (let at = 0; at < stream.length; at += size) {
        const part = cutter.cut(stream.slice(at, at + size), (_type, bytes) => {
          others.push(text(bytes));
        });
        if (part === undefined) continue;
        out += text(part.bytes);
        rows += part.rows;
        longest = Math.max(longest, part.longestRow);
      }
      assert.equal(
        out,
        ROWS.map((row) => text(strips ? row.subarray(5) : row)).join(""),
        `${size}`,
      );
      assert.deepEqual(others, MESSAGES.filter((message) => message[0] !== 0x64).map(text));
      assert.equal(rows, 4);
      assert.ok(longest >= 49);
    }
  }
});
