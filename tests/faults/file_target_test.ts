import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../src/core/clock.ts";
import { FILE_DATABASE, openDuckdbFile } from "../../src/sql/duckdb_file.ts";

/** What stands in a target file. */
interface Found {
  readonly rows: number;
  readonly keys: number;
  readonly sum: number;
  readonly position: number;
}

const QUERY = "SELECT count(*) AS c, count(DISTINCT id) AS k, coalesce(sum(n), 0) AS s FROM ";

function readSqlite(path: string): Found {
  const database = new DatabaseSync(path);
  try {
    const has = (name: string) =>
      database.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").get(name) !== undefined;
    const found = has("events") ? database.prepare(`${QUERY} events`).get() : undefined;
    const offset = has("_ematix_offsets")
      ? database.prepare("SELECT position FROM _ematix_offsets").get()
      : undefined;
    return toFound(found, offset);
  } finally {
    database.close();
  }
}

async function readDuckdb(path: string, scratchDir: string): Promise<Found> {
  const file = await openDuckdbFile({
    path,
    access: "create",
    scratchDir,
    clock: systemClock,
    signal: new AbortController().signal,
  });
  try {
    const session = await file.connect();
    const tables = await session.rows<{ name: string }>(
      `SELECT table_name AS name FROM duckdb_tables() WHERE database_name = '${FILE_DATABASE}'`,
    );
    if (tables.length === 0) return toFound(undefined, undefined);
    const [found] = await session.rows<Record<string, unknown>>(
      `${QUERY} ${FILE_DATABASE}.main.events`,
    );
    const [offset] = await session.rows<Record<string, unknown>>(
      `SELECT position FROM ${FILE_DATABASE}.main._ematix_offsets`,
    );
    return toFound(found, offset);
  } finally {
    await file.close();
  }
}

function toFound(
  found: Record<string, unknown> | undefined,
  offset: Record<string, unknown> | undefined,
): Found {
  return {
    rows: Number(found?.["c"] ?? 0),
    keys: Number(found?.["k"] ?? 0),
    sum: Number(found?.["s"] ?? 0),
    position: Number(offset?.["position"] ?? 0),
  };
}

/** What must stand there when the rows below `position` are written. */
function expectedAt(position: number, mode: string): Found {
  if (mode === "append") {
    return {
      rows: position,
      keys: position,
      sum: position * Math.max(position - 1, 0) / 2,
      position,
    };
  }
  const rows = Math.min(position, 1500);
  return { rows, keys: rows, sum: rows * (2 * position - rows - 1) / 2, position };
}

function startWriter(kind: string, path: string, mode: string, scratchDir: string, end: number) {
  const writer = new URL("./file_target_writer.ts", import.meta.url).pathname;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", writer, kind, path, mode, scratchDir, String(end)],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

const KILLS = 6;

for (const kind of ["duckdb", "sqlite"]) {
  for (const mode of ["append", "merge"]) {
    Deno.test(`${kind} ${mode}: kill -9 at any moment loses and doubles nothing`, async () => {
      const dir = await Deno.makeTempDir({ prefix: "flow_test_" });
      const path = `${dir}/out.${kind}`;
      const read = async () => {
        const scratch = await Deno.makeTempDir({ dir });
        return kind === "sqlite" ? readSqlite(path) : await readDuckdb(path, scratch);
      };
      try {
        for (let kill = 0; kill < KILLS; kill += 1) {
          const child = startWriter(kind, path, mode, await Deno.makeTempDir({ dir }), 1e9);
          let seen = 0;
          // Later within the run each time, and at another point of the epoch: some milliseconds after a commit.
          for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
            seen = Number(piece.trimEnd().split("\n").at(-1));
            if (piece.length === 0 || seen < (kill + 1) * 2000) continue;
            await systemClock.sleep(kill * 7);
            child.kill("SIGKILL");
            break;
          }
          await child.status;
          const found = await read();
          assert.ok(found.position >= seen, `${found.position} < ${seen}`);
          assert.deepEqual(found, expectedAt(found.position, mode));
        }
        const { position } = await read();
        const end = position + 3000;
        const child = startWriter(kind, path, mode, await Deno.makeTempDir({ dir }), end);
        const { success } = await child.output();
        assert.ok(success);
        assert.deepEqual(await read(), expectedAt(end, mode));
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }
}

Deno.test("duckdb: kill -9 while the file is made leaves one that opens, or none", async () => {
  const dir = await Deno.makeTempDir({ prefix: "flow_test_" });
  try {
    for (let attempt = 0; attempt < 8; attempt += 1) {
      const path = `${dir}/${attempt}.duckdb`;
      const child = startWriter("duckdb", path, "append", await Deno.makeTempDir({ dir }), 1000);
      const deadline = Date.now() + 20_000;
      // The new file is made beside its place first.
      const isMade = async () =>
        (await Array.fromAsync(Deno.readDir(dir)))
          .some((entry) => entry.name.startsWith(`${attempt}.duckdb`));
      while (!(await isMade())) {
        assert.ok(Date.now() < deadline, "the writer made no file");
        await systemClock.sleep(1);
      }
      await systemClock.sleep(attempt * 2);
      child.kill("SIGKILL");
      await child.stdout.cancel();
      await child.status;
      const found = await readDuckdb(path, await Deno.makeTempDir({ dir }));
      assert.deepEqual(found, expectedAt(found.position, "append"));
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
