import assert from "node:assert/strict";
import { withDecoding } from "./decoder_fixture_test.ts";
import { createRawBytesDecoder } from "./raw_bytes_decoder.ts";

for (const as of ["bytes", "text"] as const) {
  Deno.test(`raw_bytes: payloads ingested as ${as} stay as they are`, () =>
    withDecoding(async ({ session, decode }) => {
      const decoder = createRawBytesDecoder();
      const payloads = [new Uint8Array([0xff, 0, 0x41]), "é", null, "", '{"a":1}'];
      const decoded = await decode(decoder, payloads, as);
      assert.equal(decoded.rejected, undefined);
      assert.deepEqual(decoded.parts[0]?.columns, [{ name: "payload", type: "BLOB" }]);
      const rows = await session.rows<{ payload: Uint8Array | null; o: bigint }>(
        `SELECT payload, _offset AS o FROM ${decoded.parts[0]?.table} ORDER BY __flow_row`,
      );
      assert.deepEqual(rows.map((row) => row.payload === null ? null : [...row.payload]), [
        [0xff, 0, 0x41],
        [0xc3, 0xa9],
        null,
        [],
        [...new TextEncoder().encode('{"a":1}')],
      ]);
      assert.deepEqual(rows.map((row) => row.o), [100n, 101n, 102n, 103n, 104n]);
      assert.deepEqual((await decode(decoder, [], as)).parts, []);
    }));
}
