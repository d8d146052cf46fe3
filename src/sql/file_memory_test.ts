import assert from "node:assert/strict";
import { systemClock } from "../core/clock.ts";
import { openDuckdbFile } from "./duckdb_file.ts";
import type { Session } from "../core/session.ts";
import type { FileMemory } from "./file_memory.ts";

async function withFile(
  maxMemoryMib: number | undefined,
  use: (session: Session, memory: FileMemory) => Promise<void>,
): Promise<void> {
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
  try {
    const file = await openDuckdbFile({
      path: `${scratchDir}/file.duckdb`,
      access: "create",
      scratchDir,
      clock: systemClock,
      signal: new AbortController().signal,
      maxMemoryMib,
    });
    try {
      const session = await file.connect();
      await session.run("USE flow_file");
      await use(session, file.memory);
    } finally {
      await file.close();
    }
  } finally {
    await Deno.remove(scratchDir, { recursive: true });
  }
}

async function limitMib(session: Session): Promise<number> {
  const [row] = await session.rows<{ text: string }>(
    "SELECT current_setting('memory_limit') AS text",
  );
  const [, number, unit] = /^([\d.]+) (MiB|GiB)$/.exec(row?.text ?? "") ?? [];
  return Math.round(Number(number) * (unit === "GiB" ? 1024 : 1));
}

Deno.test("a load gets little memory, statements what the connection allows", () =>
  withFile(512, async (session, memory) => {
    assert.equal(await limitMib(session), 128);
    await memory.forStatements(session);
    assert.equal(await limitMib(session), 512);
    await memory.forLoading(session);
    assert.equal(await limitMib(session), 128);
  }));

Deno.test("a load into tables with indexes gets the memory that the indexes need, up to the bound", () =>
  withFile(256, async (session, memory) => {
    await session.run(
      "CREATE TABLE t (id BIGINT PRIMARY KEY); INSERT INTO t SELECT range FROM range(1000000)",
    );
    await memory.forLoading(session);
    const once = await limitMib(session);
    assert.ok(once > 160 && once < 256, String(once));
    await session.run("INSERT INTO t SELECT range + 1000000 FROM range(2000000)");
    await memory.forLoading(session);
    assert.equal(await limitMib(session), 256);
  }));

Deno.test("a query that gathers rows gets more memory than one through which they pass", () =>
  withFile(undefined, async (session, memory) => {
    await session.run("CREATE TABLE t AS SELECT range AS id FROM range(10)");
    const limitOf = async (query: string, ...params: bigint[]) => {
      await memory.forQuery(session, query, params);
      return await limitMib(session);
    };
    assert.equal(await limitOf("SELECT id + 1 FROM t WHERE id > $1", 3n), 128);
    for (
      const query of [
        "SELECT sum(id) FROM t",
        "SELECT id, count(*) FROM t GROUP BY id",
        "SELECT * FROM t AS a, t AS b WHERE a.id = b.id",
        "SELECT * FROM t ORDER BY id",
        "SELECT DISTINCT id FROM t",
        "SELECT row_number() OVER (ORDER BY id) FROM t",
      ]
    ) {
      assert.equal(await limitOf("SELECT id FROM t"), 128);
      assert.equal(await limitOf(query), 1024, query);
    }
  }));

Deno.test("other settings of a file's connection stay locked", () =>
  withFile(undefined, async (session) => {
    for (
      const setting of ["threads = 4", "enable_external_access = true", "allowed_configs = []"]
    ) {
      await assert.rejects(session.run(`SET ${setting}`), { code: "sql_denied" });
    }
  }));
