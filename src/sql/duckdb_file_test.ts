import assert from "node:assert/strict";
import { systemClock } from "../core/clock.ts";
import { FILE_DATABASE, openDuckdbFile } from "./duckdb_file.ts";

const signal = new AbortController().signal;

async function withDir(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "flow_test_" });
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function request(dir: string, access: "read" | "write" | "create", waitMs = 100) {
  return {
    path: `${dir}/a.duckdb`,
    access,
    scratchDir: dir,
    clock: systemClock,
    signal,
    waitMs,
  };
}

/** Runs a module text in a process of its own. */
async function run(code: string, ...flags: string[]): Promise<string> {
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const module = `data:application/typescript,${encodeURIComponent(code)}`;
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--config", config, ...flags, module],
    env: { NO_COLOR: "1" },
  }).output();
  return new TextDecoder().decode(output.stdout) + new TextDecoder().decode(output.stderr);
}

Deno.test("those who make a file at the same time do not take each other's half-made one", () =>
  withDir(async (dir) => {
    const makers = Array.from({ length: 8 }, () => openDuckdbFile(request(dir, "create")));
    const files = await Promise.all(makers);
    const session = await files[0]?.connect();
    await session?.run(`CREATE TABLE ${FILE_DATABASE}.main.t AS SELECT 1 AS a`);
    for (const file of files) await file.close();
    const left = Array.from(Deno.readDirSync(dir), ({ name }) => name)
      .filter((name) => name.startsWith("a.duckdb"));
    assert.deepEqual(left, ["a.duckdb"]);
  }));

Deno.test("a file is opened once in a process, however it is called", () =>
  withDir(async (dir) => {
    const one = await openDuckdbFile(request(dir, "create"));
    await Deno.symlink(`${dir}/a.duckdb`, `${dir}/link.duckdb`);
    const two = await openDuckdbFile({ ...request(dir, "write"), path: `${dir}/link.duckdb` });
    const [first, second] = [await one.connect(), await two.connect()];
    await first.run(`CREATE TABLE ${FILE_DATABASE}.main.t AS SELECT 1 AS a`);
    assert.deepEqual({ ...(await second.rows(`FROM ${FILE_DATABASE}.main.t`))[0] }, { a: 1 });
    await one.close();
    await second.run(`INSERT INTO ${FILE_DATABASE}.main.t VALUES (2)`);
    await two.close();
    await two.close();
    const again = await openDuckdbFile(request(dir, "read"));
    const [found] = await (await again.connect()).rows<{ n: bigint }>(
      `SELECT count(*) AS n FROM ${FILE_DATABASE}.main.t`,
    );
    assert.equal(found?.n, 2n);
    // Somebody who needs more than reading waits for the file, and not for ever.
    await assert.rejects(openDuckdbFile(request(dir, "write")), {
      code: "duckdb_file_locked",
      retryable: true,
    });
    await again.close();
  }));

Deno.test("another process has to wait until the file is closed", () =>
  withDir(async (dir) => {
    const file = await openDuckdbFile(request(dir, "create"));
    const code = `
      import { openDuckdbFile } from "${new URL("./duckdb_file.ts", import.meta.url)}";
      import { systemClock } from "${new URL("../core/clock.ts", import.meta.url)}";
      const open = (waitMs) => openDuckdbFile({ path: "${dir}/a.duckdb", access: "read",
        scratchDir: "${dir}", clock: systemClock, signal: new AbortController().signal, waitMs });
      try { await open(50); } catch (error) { console.log(error.code, error.message); }
      await Deno.writeTextFile("${dir}/tried", "");
      await (await open(10000)).close();
      console.log("opened");
    `;
    const other = run(code, "-A");
    const deadline = Date.now() + 20_000;
    const hasTried = () => Deno.stat(`${dir}/tried`).then(() => true, () => false);
    while (!(await hasTried()) && Date.now() < deadline) await systemClock.sleep(20);
    await file.close();
    assert.match(
      await other,
      new RegExp(
        `^duckdb_file_locked .*another process has it open \\(PID ${Deno.pid}\\)\nopened\n$`,
      ),
    );
  }));

Deno.test("what Deno would not open, DuckDB does not open either", () =>
  withDir(async (dir) => {
    await (await openDuckdbFile(request(dir, "create"))).close();
    const code = `
      import { openDuckdbFile } from "${new URL("./duckdb_file.ts", import.meta.url)}";
      import { systemClock } from "${new URL("../core/clock.ts", import.meta.url)}";
      for (const access of ["read", "create"]) {
        for (const path of ["${dir}/a.duckdb", "${dir}/new.duckdb"]) {
          try {
            const file = await openDuckdbFile({ path, access, scratchDir: "${dir}",
              clock: systemClock, signal: new AbortController().signal, waitMs: 50 });
            await file.close();
            console.log(access, "opened");
          } catch (error) { console.log(access, error.code, error.hint); }
        }
      }
    `;
    const root = new URL("../../", import.meta.url).pathname;
    const shared = ["--allow-ffi", "--allow-env", "--allow-sys", "--no-prompt"];
    assert.deepEqual(
      (await run(code, ...shared, `--allow-read=${root},${dir}/a.duckdb`)).trim().split("\n"),
      [
        "read opened",
        `read permission_denied start flow with --allow-read=${dir}/new.duckdb`,
        `create permission_denied start flow with --allow-write=${dir}/a.duckdb`,
        `create permission_denied start flow with --allow-read=${dir}/new.duckdb`,
      ],
    );
    const only = `${dir}/a.duckdb,${dir}/new.duckdb`;
    assert.deepEqual(
      (await run(code, ...shared, `--allow-read=${root},${only}`, `--allow-write=${only}`)).trim()
        .split("\n").map((line) => line.split(" ").slice(0, 2).join(" ")),
      ["read opened", "read duckdb_file_missing", "create opened", "create opened"],
    );
  }));

Deno.test("SQL on a file reaches nothing else", () =>
  withDir(async (dir) => {
    const file = await openDuckdbFile(request(dir, "create"));
    const session = await file.connect();
    for (
      const sql of [
        "SELECT * FROM read_text('/etc/hostname')",
        "ATTACH '/var/tmp/flow_escape.duckdb' AS escape",
        "SET enable_external_access = true",
      ]
    ) await assert.rejects(session.run(sql), { code: /^sql_/ }, sql);
    await file.close();
    await assert.rejects(
      openDuckdbFile({ ...request(dir, "create"), path: `${dir}/no/such/a.duckdb` }),
      { code: "duckdb_directory_missing" },
    );
  }));
