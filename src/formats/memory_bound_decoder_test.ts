import assert from "node:assert/strict";
import type { Decoder } from "../core/decoder.ts";
import { FlowError } from "../core/error.ts";
import { quoteIdentifier } from "../core/schema.ts";
import { withDecoding } from "./decoder_fixture_test.ts";
import { createJsonDecoder } from "./json_decoder.ts";
import { withinMemory } from "./memory_bound_decoder.ts";

/** The JSON decoder in an engine whose memory does not suffice for more than `most` rows, or for any batch with a field `huge`. */
function tightDecoder(most: number, sizes: number[]): Decoder {
  const decoder = createJsonDecoder({ inferTimes: true });
  return {
    get columns() {
      return decoder.columns;
    },
    decode: async (session, batch) => {
      sizes.push(batch.rows);
      const [found] = await session.rows<{ n: bigint }>(
        `SELECT count(*) AS n FROM ${quoteIdentifier(batch.table)} WHERE _payload LIKE '%huge%'`,
      );
      if (batch.rows <= most && found?.n === 0n) return await decoder.decode(session, batch);
      throw new FlowError("the engine's memory does not suffice", {
        code: "sql_out_of_memory",
        domain: "user",
      });
    },
  };
}

Deno.test("a batch that is too much for the engine is decoded in halves; the rows that are so by themselves are rejected", () =>
  withDecoding(async ({ decode, read, assertNoTables }) => {
    const payloads = Array.from(
      { length: 100 },
      (_, at) => at === 40 || at === 41 ? '{"huge":1}' : at === 70 ? "no" : JSON.stringify({ at }),
    );
    const sizes: number[] = [];
    const outcome = await read(await decode(withinMemory(tightDecoder(30, sizes)), payloads));
    assert.deepEqual([...outcome.rejected.keys()].sort((a, b) => a - b), [40, 41, 70]);
    assert.match(outcome.rejected.get(40) ?? "", /^the row by itself is too much: the engine's/);
    assert.match(outcome.rejected.get(70) ?? "", /^not JSON/i);
    assert.deepEqual(
      [...outcome.json].map(([row, json]) => [row, (JSON.parse(json) as { at: number }).at]),
      payloads.flatMap((_, at) => [40, 41, 70].includes(at) ? [] : [[at, at]]),
    );
    assert.equal(outcome.schemaChange, 'new column "at" BIGINT');
    assert.ok(sizes.length < 40, `${sizes}`);
    await assertNoTables();
  }));

Deno.test("errors of other kinds are the caller's", () =>
  withDecoding(async ({ decode }) => {
    const failing: Decoder = {
      columns: [],
      decode: () => Promise.reject(new FlowError("no", { code: "sql_failed", domain: "user" })),
    };
    await assert.rejects(decode(withinMemory(failing), ["{}"]), { code: "sql_failed" });
  }));
