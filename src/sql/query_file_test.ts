import assert from "node:assert/strict";
import { systemClock } from "../core/clock.ts";
import { FlowError } from "../core/error.ts";
import { FILE_DATABASE, openDuckdbFile } from "./duckdb_file.ts";
import { queryFile } from "./query_file.ts";

async function withFile(
  work: (ask: (sql: string) => ReturnType<typeof queryFile>) => Promise<void>,
): Promise<void> {
  const scratchDir = await Deno.makeTempDir();
  try {
    const path = `${scratchDir}/data.duckdb`;
    const common = { path, scratchDir, clock: systemClock, signal: new AbortController().signal };
    const file = await openDuckdbFile({ ...common, access: "create" });
    const session = await file.connect();
    await session.run(
      `CREATE TABLE ${FILE_DATABASE}.main.t AS SELECT 9007199254740993 AS n, 'x' AS s, NULL::INT AS z`,
    );
    await file.close();
    await work((sql) => queryFile({ ...common, sql }));
  } finally {
    await Deno.remove(scratchDir, { recursive: true });
  }
}

Deno.test("query_file: gives columns and rows as exact texts", async () => {
  await withFile(async (ask) => {
    const result = await ask(`SELECT n, s, z, n AS s FROM ${FILE_DATABASE}.main.t -- all of it`);
    assert.deepEqual(result, {
      columns: ["n", "s", "z", "s"],
      rows: [["9007199254740993", "x", "", "9007199254740993"]],
    });
  });
});

Deno.test("query_file: a wrong query is the user's error, and the file cannot be written", async () => {
  await withFile(async (ask) => {
    await assert.rejects(
      ask(`SELECT nope FROM ${FILE_DATABASE}.main.t`),
      (error) => error instanceof FlowError && error.code === "sql_invalid",
    );
    await assert.rejects(ask(`DELETE FROM ${FILE_DATABASE}.main.t`), FlowError);
    assert.deepEqual((await ask(`SELECT count(*) AS n FROM ${FILE_DATABASE}.main.t`)).rows, [[
      "1",
    ]]);
  });
});

Deno.test("query_file: SQL reaches no other file", async () => {
  await withFile(async (ask) => {
    await assert.rejects(ask("SELECT * FROM read_text('/etc/hostname')"), FlowError);
  });
});
