import assert from "node:assert/strict";
import { ROW_COLUMN } from "../core/batch.ts";
import { FlowError } from "../core/error.ts";
import type { Engine, PayloadRows, Session } from "../core/session.ts";
import { createEngine } from "./engine.ts";
import { DuckdbSession } from "./session.ts";

async function withEngine(
  work: (engine: Engine, session: Session) => Promise<void>,
): Promise<void> {
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
  const engine = await createEngine({ scratchDir });
  try {
    await work(engine, await engine.connect());
  } finally {
    await engine.close();
    await Deno.remove(scratchDir, { recursive: true });
  }
}

/** Payload rows with the gap of one byte between payloads; `null` is a row without payload. */
function payloadRows(payloads: readonly (Uint8Array | string | null)[]): PayloadRows {
  const encoder = new TextEncoder();
  const bytes = payloads.map((p) => typeof p === "string" ? encoder.encode(p) : p);
  const payload = new Uint8Array(bytes.reduce((sum, p) => sum + (p?.length ?? 0) + 1, 0));
  const starts = new Int32Array(bytes.length);
  const ends = new Int32Array(bytes.length);
  let at = 0;
  bytes.forEach((p, row) => {
    starts[row] = p === null ? -1 : at;
    if (p !== null) {
      payload.set(p, at);
      at += p.length;
      ends[row] = at;
      at += 1;
    }
  });
  return {
    count: bytes.length,
    payload,
    starts,
    ends,
    partitions: Int32Array.from(bytes, (_p, row) => row % 3),
    offsets: BigInt64Array.from(bytes, (_p, row) => BigInt(row) + 5_000_000_000n),
    eventTimesMicros: BigInt64Array.from(bytes, (_p, row) => BigInt(row) * 1_000_001n),
  };
}

const INGEST_CASES: Record<string, (Uint8Array | string | null)[]> = {
  "plain texts": ["a", "bb", '{"x":1}'],
  "empty and unicode": ["", "é😀", "\u0000", ""],
  "rows without payload": [null, "x", null, null, ""],
  "a payload that holds the separator": ["a\u001eb", "c"],
  "bytes that are not UTF-8": ["ok", new Uint8Array([0xff, 0x41]), "fine", null],
  "one row": ["only"],
  "more than a chunk": Array.from(
    { length: 5000 },
    (_v, row) => row % 7 === 0 ? null : `row ${row}`,
  ),
};

for (const [name, payloads] of Object.entries(INGEST_CASES)) {
  Deno.test(`ingestPayloads keeps ${name}`, () =>
    withEngine(async (engine, session) => {
      await engine.ingestPayloads(session, "raw", payloadRows(payloads), "text");
      const rows = await session.rows<Record<string, unknown>>(
        `SELECT _payload, _undecodable, _partition, _offset, epoch_us(_event_ts) AS ts, ${ROW_COLUMN} AS row FROM raw`,
      );
      assert.equal(rows.length, payloads.length);
      rows.forEach((row, at) => {
        const payload = payloads[at] ?? null;
        if (payload instanceof Uint8Array) {
          assert.equal(row["_payload"], null);
          assert.deepEqual([...(row["_undecodable"] as Uint8Array)], [...payload]);
        } else {
          assert.equal(row["_payload"], payload);
          assert.equal(row["_undecodable"], null);
        }
        assert.equal(row["_partition"], at % 3);
        assert.equal(row["_offset"], BigInt(at) + 5_000_000_000n);
        assert.equal(row["ts"], BigInt(at) * 1_000_001n);
        assert.equal(row["row"], BigInt(at));
      });
    }));
}

Deno.test("ingestPayloads lets go of everything when a row cannot be taken", () =>
  withEngine(async (engine, session) => {
    assert(session instanceof DuckdbSession);
    const { connection } = session;
    const appenders: { closed: boolean }[] = [];
    const createAppender = connection.createAppender.bind(connection);
    connection.createAppender = async (...args) => {
      const appender = await createAppender(...args);
      const state = { closed: false };
      appenders.push(state);
      const close = appender.closeSync.bind(appender);
      appender.closeSync = () => {
        close();
        state.closed = true;
      };
      return appender;
    };
    const rows = payloadRows(["{}", "{}"]);
    const headers = ["{}", 5 as unknown as string];
    await assert.rejects(engine.ingestPayloads(session, "raw", { ...rows, headers }, "text"));
    assert.deepEqual(appenders, [{ closed: true }]);
    assert.deepEqual(await session.rows("SELECT table_name FROM duckdb_tables()"), []);
    await engine.ingestPayloads(session, "raw", rows, "text");
  }));

Deno.test("ingestPayloads keeps bytes, keys, headers and partition names", () =>
  withEngine(async (engine, session) => {
    const rows = payloadRows([new Uint8Array([0xff, 0]), null]);
    await engine.ingestPayloads(
      session,
      "raw",
      {
        ...rows,
        partitionNames: ["it's", "b", "c"],
        keys: {
          bytes: new TextEncoder().encode("key"),
          starts: Int32Array.of(0, -1),
          ends: Int32Array.of(3, 0),
        },
        headers: [null, '{"h":"v"}'],
      },
      "bytes",
    );
    const found = await session.rows<Record<string, unknown>>("SELECT * FROM raw");
    assert.deepEqual([...(found[0]?.["_payload"] as Uint8Array)], [0xff, 0]);
    assert.equal(found[1]?.["_payload"], null);
    assert.deepEqual(found.map((row) => row["_partition"]), ["it's", "b"]);
    assert.deepEqual(found.map((row) => row["_key"]), ["key", null]);
    assert.deepEqual(found.map((row) => row["_headers"]), [null, '{"h":"v"}']);
  }));

Deno.test("SQL cannot leave the scratch directory, nor change a setting", () =>
  withEngine(async (engine, session) => {
    for (
      const sql of [
        "SELECT * FROM read_text('/etc/hostname')",
        `SELECT * FROM read_text('${engine.scratchDir}/../x')`,
        "COPY (SELECT 1) TO '/var/tmp/flow_escape.csv'",
        "ATTACH '/var/tmp/flow_escape.duckdb' AS escape",
        "INSTALL httpfs",
        "LOAD '/var/tmp/x.duckdb_extension'",
        "SET enable_external_access = true",
      ]
    ) {
      await assert.rejects(
        () => session.run(sql),
        (error) => error instanceof FlowError && error.domain === "user",
        sql,
      );
    }
  }));

Deno.test("exportText tells NULL from empty, keeps lines of JSON as they are", () =>
  withEngine(async (_engine, session) => {
    const read = async (query: string, format: "csv" | "ndjson") => {
      let text = "";
      const decoder = new TextDecoder();
      for await (const piece of session.exportText(query, format)) {
        text += decoder.decode(piece, { stream: true });
      }
      return text;
    };
    assert.equal(
      await read(`SELECT NULL AS a, '' AS b, 'x"y' AS c, -0.0::DOUBLE AS d`, "csv"),
      ',"","x""y",-0.0\n',
    );
    assert.equal(
      await read(`SELECT '{"a":"x\\ny, \\"z\\""}' AS j`, "ndjson"),
      '{"a":"x\\ny, \\"z\\""}\n',
    );
  }));

Deno.test("errors of SQL say whose they are", () =>
  withEngine(async (_engine, session) => {
    await assert.rejects(() => session.describe("SELECT nope FROM (SELECT 1 AS a)"), {
      code: "sql_invalid",
    });
    await assert.rejects(() => session.run("SELECT 'x'::INTEGER"), { code: "sql_failed" });
    assert.deepEqual(await session.describe("SELECT 1::BIGINT AS a, [1] AS b"), [
      { name: "a", type: "BIGINT" },
      { name: "b", type: "INTEGER[]" },
    ]);
  }));
