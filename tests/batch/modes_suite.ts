/**
 * What every mode of a declared pipeline does, whatever the two databases are. Each test makes its own tables.
 */
import assert from "node:assert/strict";
import type { BatchDependencies } from "../../src/batch/dependencies.ts";
import { runPipeline } from "../../src/batch/run_pipeline.ts";
import type { BatchSpec, BatchTarget } from "../../src/core/batch_spec.ts";
import { FlowError } from "../../src/core/error.ts";
import type { TargetOutcome } from "../../src/core/run_log.ts";
import type { DeclaredTable } from "../../src/core/table_spec.ts";
import { batchSpec, batchTarget, column, declaredTable, type Place } from "./rig.ts";

/** Two databases, which may be one and the same. */
export interface Pair {
  readonly from: Place;
  readonly to: Place;
  readonly deps: BatchDependencies;
}

let tables = 0;

/** A fresh source table of customers, and the declaration of a fresh target. */
async function customers({ from }: Pair): Promise<{ source: string; table: DeclaredTable }> {
  tables += 1;
  const source = `src_${tables}`;
  const text = from.kind === "mysql" ? "VARCHAR(200)" : "TEXT";
  const time = from.kind === "mysql" ? "DATETIME(6)" : "TIMESTAMP";
  await from.run(
    `CREATE TABLE ${source} (id BIGINT PRIMARY KEY, email ${text}, name ${text}, amount DECIMAL(18,2), changed_at ${time})`,
  );
  return {
    source,
    table: declaredTable(`dst_${tables}`, [
      column("id", "BIGINT", { nullable: false }),
      column("email", "VARCHAR", { normalizers: ["trim", "lower", "empty_to_null"] }),
      column("name", "VARCHAR"),
      column("amount", "DECIMAL(18,2)"),
      column("changed_at", "TIMESTAMP"),
    ], { primaryKey: ["id"] }),
  };
}

const SELECT = "SELECT id, email, name, amount, changed_at FROM";

function row(id: number, name: string, second = id): string {
  return `(${id}, ' ${name}@X.com', '${name}', ${id}.25, '2026-01-01 00:00:0${second}.123456')`;
}

async function insert(place: Place, table: string, ...rows: readonly string[]): Promise<void> {
  await place.run(`INSERT INTO ${table} VALUES ${rows.join(", ")}`);
}

/** The data columns of the target, ordered by key, as one text a row. */
async function contents({ to }: Pair, table: DeclaredTable): Promise<string[]> {
  const rows = await to.rows(
    `SELECT id, email, name, amount, changed_at FROM ${table.ref.name} ORDER BY id`,
  );
  return rows.map((one) =>
    [one["id"], one["email"], one["name"], Number(one["amount"]), timeText(one["changed_at"])]
      .map((value) => value === null ? "NULL" : String(value)).join("|")
  );
}

function expected(id: number, name: string, second = id): string {
  return `${id}|${name.toLowerCase()}@x.com|${name}|${id}.25|2026-01-01 00:00:0${second}.123456`;
}

/** Runs a pipeline of one target, and returns what that got. */
async function run(pair: Pair, spec: BatchSpec): Promise<TargetOutcome> {
  const { targets: [outcome] } = await runPipeline(spec, pair.deps);
  assert(outcome !== undefined);
  return outcome;
}

function spec(
  pair: Pair,
  source: string,
  table: DeclaredTable,
  options: Partial<Omit<BatchTarget, "table" | "connection">>,
  sql = `${SELECT} ${source}`,
): BatchSpec {
  return batchSpec(pair.from, sql, [batchTarget(pair.to, table, options)], {
    name: `pipeline_${table.ref.name}`,
  });
}

async function refusal(work: Promise<unknown>): Promise<FlowError> {
  try {
    await work;
  } catch (error) {
    assert(error instanceof FlowError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "the run did not fail" });
}

type Case = readonly [name: string, run: (pair: Pair) => Promise<void>];

/** The cases that hold for every pair of databases. */
export const MODE_CASES: readonly Case[] = [
  ["append adds the rows of every run", async (pair) => {
    const { source, table } = await customers(pair);
    await insert(pair.from, source, row(1, "Al"), row(2, "Bo"));
    const once = { ...table, primaryKey: [] };
    const outcome = await run(pair, spec(pair, source, once, { mode: "append" }));
    assert.equal(outcome.rowsInserted, 2);
    assert.equal(outcome.path, pair.from === pair.to ? "same_db" : "cross_db");
    assert.deepEqual(await contents(pair, table), [expected(1, "Al"), expected(2, "Bo")]);
    await run(pair, spec(pair, source, once, { mode: "append" }));
    assert.equal((await contents(pair, table)).length, 4);
  }],
  ["append records its run and stamps the rows with it", async (pair) => {
    const { source, table } = await customers(pair);
    await insert(pair.from, source, row(1, "Al"));
    await run(pair, spec(pair, source, table, { mode: "append" }));
    const history = pair.to.kind === "postgres" || pair.to.kind === "duckdb"
      ? "ematix_flow.run_history"
      : "ematix_flow_run_history";
    const runs = await pair.to.rows(
      `SELECT run_id, status, mode, path, rows_inserted FROM ${history} WHERE pipeline_name = 'pipeline_${table.ref.name}'`,
    );
    assert.equal(runs.length, 1);
    assert.equal(runs[0]?.["status"], "success");
    assert.equal(runs[0]?.["rows_inserted"], 1n);
    const stamped = await pair.to.rows(
      `SELECT _batch_id, _loaded_at FROM ${table.ref.name}`,
    );
    assert.equal(String(stamped[0]?.["_batch_id"]), String(runs[0]?.["run_id"]));
    assert.notEqual(stamped[0]?.["_loaded_at"], null);
  }],
  ["append that breaks a key fails, names it, and leaves the table as it was", async (pair) => {
    const { source, table } = await customers(pair);
    await insert(pair.from, source, row(1, "Al"));
    await run(pair, spec(pair, source, table, { mode: "append" }));
    await insert(pair.from, source, row(2, "Bo"));
    const error = await refusal(run(pair, spec(pair, source, table, { mode: "append" })));
    assert.equal(error.code, "load_rejected", error.message);
    assert.equal(error.domain, "user");
    assert.deepEqual(await contents(pair, table), [expected(1, "Al")]);
  }],
  ["truncate replaces the rows", async (pair) => {
    const { source, table } = await customers(pair);
    await insert(pair.from, source, row(1, "Al"), row(2, "Bo"));
    await run(pair, spec(pair, source, table, { mode: "truncate" }));
    await pair.from.run(`DELETE FROM ${source} WHERE id = 1`);
    const outcome = await run(pair, spec(pair, source, table, { mode: "truncate" }));
    assert.equal(outcome.rowsInserted, 1);
    assert.deepEqual(await contents(pair, table), [expected(2, "Bo")]);
  }],
  ["merge inserts, updates what differs, and counts", async (pair) => {
    const { source, table } = await customers(pair);
    await insert(pair.from, source, row(1, "Al"), row(2, "Bo"), row(3, "Cy"));
    const first = await run(pair, spec(pair, source, table, { mode: "merge" }));
    assert.deepEqual(
      [first.rowsInserted, first.rowsUpdated, first.rowsUnchanged],
      [3, 0, 0],
    );
    await pair.from.run(
      `UPDATE ${source} SET name = 'Bea', email = NULL WHERE id = 2`,
      `INSERT INTO ${source} VALUES ${row(4, "Di")}`,
    );
    const second = await run(pair, spec(pair, source, table, { mode: "merge" }));
    assert.deepEqual(
      [second.rowsInserted, second.rowsUpdated, second.rowsUnchanged],
      [1, 1, 2],
    );
    assert.deepEqual(await contents(pair, table), [
      expected(1, "Al"),
      "2|NULL|Bea|2.25|2026-01-01 00:00:02.123456",
      expected(3, "Cy"),
      expected(4, "Di"),
    ]);
    const third = await run(pair, spec(pair, source, table, { mode: "merge" }));
    assert.deepEqual([third.rowsInserted, third.rowsUpdated, third.rowsUnchanged], [0, 0, 4]);
  }],
  ["merge updates only the columns that are given", async (pair) => {
    const { source, table } = await customers(pair);
    await insert(pair.from, source, row(1, "Al"));
    await run(pair, spec(pair, source, table, { mode: "merge" }));
    await pair.from.run(`UPDATE ${source} SET name = 'Al2', email = 'new' WHERE id = 1`);
    await run(pair, spec(pair, source, table, { mode: "merge", updateColumns: ["name"] }));
    assert.deepEqual(await contents(pair, table), [
      "1|al@x.com|Al2|1.25|2026-01-01 00:00:01.123456",
    ]);
  }],
  ["merge deletes what is gone only when asked, and never everything by accident", async (pair) => {
    const { source, table } = await customers(pair);
    await insert(pair.from, source, row(1, "Al"), row(2, "Bo"));
    await run(pair, spec(pair, source, table, { mode: "merge" }));
    await pair.from.run(`DELETE FROM ${source} WHERE id = 1`);
    await run(pair, spec(pair, source, table, { mode: "merge" }));
    assert.equal((await contents(pair, table)).length, 2);
    const outcome = await run(
      pair,
      spec(pair, source, table, { mode: "merge", handleDeletes: "hard" }),
    );
    assert.equal(outcome.rowsDeleted, 1);
    assert.deepEqual(await contents(pair, table), [expected(2, "Bo")]);
    await pair.from.run(`DELETE FROM ${source}`);
    const error = await refusal(
      run(pair, spec(pair, source, table, { mode: "merge", handleDeletes: "hard" })),
    );
    assert.equal(error.code, "empty_source");
    assert.deepEqual(await contents(pair, table), [expected(2, "Bo")]);
    await run(
      pair,
      spec(pair, source, table, { mode: "merge", handleDeletes: "hard", allowEmptySource: true }),
    );
    assert.deepEqual(await contents(pair, table), []);
  }],
  ["merge refuses duplicate and NULL keys before it writes", async (pair) => {
    const { source, table } = await customers(pair);
    await insert(pair.from, source, row(1, "Al"), row(2, "Bo"));
    const duplicate = await refusal(run(
      pair,
      spec(
        pair,
        source,
        table,
        { mode: "merge" },
        `${SELECT} ${source} UNION ALL ${SELECT} ${source} WHERE id = 2`,
      ),
    ));
    assert.equal(duplicate.code, "key_duplicate");
    assert.match(duplicate.message, /id = 2/);
    const nullable = declaredTable(
      `${table.ref.name}_n`,
      table.columns.map((one) => ({ ...one, nullable: true })),
    );
    const isNull = await refusal(run(
      pair,
      spec(
        pair,
        source,
        nullable,
        { mode: "merge", keys: ["id"] },
        `SELECT nullif(id, 2) AS id, email, name, amount, changed_at FROM ${source}`,
      ),
    ));
    assert.equal(isNull.code, "key_null");
  }],
  ["incremental loses no row and doubles none at the edge", async (pair) => {
    const { source, table } = await customers(pair);
    await insert(pair.from, source, row(1, "Al", 1), row(2, "Bo", 2));
    const options = { mode: "incremental", incrementalColumn: "changed_at" } as const;
    const first = await run(pair, spec(pair, source, table, options));
    assert.equal(first.rowsInserted, 2);
    assert.match(first.watermark ?? "", /00:00:02\.123456/);
    // A row of the same time as the watermark, one that is older but late, and one that is newer.
    await insert(pair.from, source, row(3, "Cy", 2), row(4, "Di", 3));
    const second = await run(pair, spec(pair, source, table, options));
    assert.equal(second.rowsInserted, 2);
    assert.deepEqual(
      await contents(pair, table),
      [expected(1, "Al"), expected(2, "Bo"), expected(3, "Cy", 2), expected(4, "Di", 3)],
    );
    await insert(pair.from, source, row(5, "Ed", 1));
    await run(pair, spec(pair, source, table, options));
    assert.equal((await contents(pair, table)).length, 4);
    const overlapped = await run(
      pair,
      spec(pair, source, table, { ...options, overlapSeconds: 5 }),
    );
    assert.equal(overlapped.rowsInserted, 1);
    await pair.from.run(
      `UPDATE ${source} SET name = 'Dx', changed_at = '2026-01-01 00:00:05.123456' WHERE id = 4`,
    );
    const updated = await run(pair, spec(pair, source, table, options));
    assert.deepEqual([updated.rowsInserted, updated.rowsUpdated], [0, 1]);
  }],
  ["incremental without keys goes by a tie-break column", async (pair) => {
    const { source, table } = await customers(pair);
    const keyless = { ...table, primaryKey: [] };
    await insert(pair.from, source, row(1, "Al", 1), row(2, "Bo", 2));
    const options = {
      mode: "incremental",
      incrementalColumn: "changed_at",
      tieBreakColumn: "id",
    } as const;
    await run(pair, spec(pair, source, keyless, options));
    await insert(pair.from, source, row(3, "Cy", 2), row(4, "Di", 3));
    const second = await run(pair, spec(pair, source, keyless, options));
    assert.equal(second.rowsInserted, 2);
    const third = await run(pair, spec(pair, source, keyless, options));
    assert.equal(third.rowsInserted, 0);
    assert.equal((await contents(pair, table)).length, 4);
  }],
  ["$watermark reads everything first, and then what is above it", async (pair) => {
    const { source, table } = await customers(pair);
    await insert(pair.from, source, row(1, "Al", 1), row(2, "Bo", 2));
    const sql = `${SELECT} ${source} WHERE changed_at > $watermark -- not '$watermark'`;
    const options = { mode: "append", incrementalColumn: "changed_at" } as const;
    const first = await run(pair, spec(pair, source, table, options, sql));
    assert.equal(first.rowsInserted, 2);
    await insert(pair.from, source, row(3, "Cy", 3));
    const second = await run(pair, spec(pair, source, table, options, sql));
    assert.equal(second.rowsInserted, 1);
    const third = await run(pair, spec(pair, source, table, options, sql));
    assert.equal(third.rowsInserted, 0);
    assert.match(
      (await run(pair, spec(pair, source, table, options, sql))).watermark ?? "none",
      /none/,
    );
  }],
  ["parameters are bound", async (pair) => {
    const { source, table } = await customers(pair);
    await insert(pair.from, source, row(1, "O''Neil"), row(2, "Bo"));
    const one = batchSpec(
      pair.from,
      `${SELECT} ${source} WHERE name = $who OR id = $least`,
      [batchTarget(pair.to, table, { mode: "merge" })],
      { name: `pipeline_${table.ref.name}`, parameters: { who: "O'Neil", least: 77n } },
    );
    assert.equal((await run(pair, one)).rowsInserted, 1);
  }],
  ["scd2 keeps the versions of a row", async (pair) => {
    const { source, table } = await customers(pair);
    const versioned = { ...table, primaryKey: ["id"] };
    await insert(pair.from, source, row(1, "Al", 1), row(2, "Bo", 1));
    const options = {
      mode: "scd2",
      eventTimestampColumn: "changed_at",
      compareColumns: ["email", "name"],
    } as const;
    const first = await run(pair, spec(pair, source, versioned, options));
    assert.deepEqual([first.rowsInserted, first.rowsClosed], [2, 0]);
    await pair.from.run(
      `UPDATE ${source} SET name = 'Bea', changed_at = '2026-01-01 00:00:05.123456' WHERE id = 2`,
    );
    const second = await run(pair, spec(pair, source, versioned, options));
    assert.deepEqual([second.rowsInserted, second.rowsClosed], [1, 1]);
    const rows = await pair.to.rows(
      `SELECT id, name, is_current FROM ${table.ref.name} ORDER BY id, valid_from`,
    );
    assert.deepEqual(
      rows.map((one) => `${one["id"]} ${one["name"]} ${isTrue(one["is_current"])}`),
      ["1 Al true", "2 Bo false", "2 Bea true"],
    );
    const third = await run(pair, spec(pair, source, versioned, options));
    assert.deepEqual([third.rowsInserted, third.rowsClosed], [0, 0]);
  }],
  ["a column that was declared later is added, and types are widened", async (pair) => {
    const { source, table } = await customers(pair);
    await insert(pair.from, source, row(1, "Al"));
    const narrow = declaredTable(table.ref.name, [
      column("id", "BIGINT", { nullable: false }),
      column("name", "VARCHAR", { maxLength: 5 }),
    ], { primaryKey: ["id"] });
    await run(pair, spec(pair, source, narrow, { mode: "merge" }));
    const wide = declaredTable(table.ref.name, [
      column("id", "BIGINT", { nullable: false }),
      column("name", "VARCHAR", { maxLength: 50 }),
      column("amount", "DECIMAL(18,2)"),
    ], { primaryKey: ["id"] });
    await pair.from.run(`UPDATE ${source} SET name = 'Alexander'`);
    await run(pair, spec(pair, source, wide, { mode: "merge" }));
    const rows = await pair.to.rows(`SELECT id, name, amount FROM ${table.ref.name}`);
    assert.deepEqual(
      rows.map((one) => [one["name"], Number(one["amount"])]),
      [["Alexander", 1.25]],
    );
  }],
  ["drift is an error where that is asked for", async (pair) => {
    const { source, table } = await customers(pair);
    await insert(pair.from, source, row(1, "Al"));
    await run(pair, spec(pair, source, table, { mode: "merge" }));
    const more = { ...table, columns: [...table.columns, column("extra", "VARCHAR")] };
    const sql = `SELECT id, email, name, amount, changed_at, 'x' AS extra FROM ${source}`;
    const error = await refusal(
      run(pair, spec(pair, source, more, { mode: "merge", onDrift: "error" }, sql)),
    );
    assert.equal(error.code, "schema_drift");
    assert.match(error.message, /column `extra` is declared but missing in the table/);
    await run(pair, spec(pair, source, more, { mode: "merge", onDrift: "warn" }, sql));
    await run(pair, spec(pair, source, more, { mode: "merge" }, sql));
    const rows = await pair.to.rows(`SELECT extra FROM ${table.ref.name}`);
    assert.equal(rows[0]?.["extra"], "x");
  }],
  ["a query that cannot run says so, and is recorded as failed", async (pair) => {
    const { source, table } = await customers(pair);
    const error = await refusal(
      run(pair, spec(pair, source, table, { mode: "append" }, `${SELECT} no_such_table`)),
    );
    assert.equal(error.code, "query_invalid", error.message);
    assert.match(error.message, /no_such_table/);
  }],
  ["an empty source is no failure", async (pair) => {
    const { source, table } = await customers(pair);
    for (const mode of ["append", "truncate", "merge"] as const) {
      assert.equal((await run(pair, spec(pair, source, table, { mode }))).rowsInserted, 0);
    }
  }],
  ["exact values arrive exactly", async (pair) => {
    const { source, table } = await customers(pair);
    const place = pair.from;
    const nasty = `it''s "q", a${place.kind === "mysql" ? "\\\\" : "\\"}b`;
    // A decimal of SQLite is a double.
    const large = place.kind === "sqlite" ? "99999999999.99" : "9999999999999999.99";
    await place.run(
      `INSERT INTO ${source} VALUES (9007199254740993, NULL, '${nasty}', ${large}, NULL)`,
      `INSERT INTO ${source} VALUES (-1, '', 'é😀', -0.01, '1969-12-31 23:59:59.999999')`,
    );
    await run(pair, spec(pair, source, table, { mode: "merge" }));
    const rows = await pair.to.rows(
      `SELECT id, email, name, amount, changed_at FROM ${table.ref.name} ORDER BY id`,
    );
    assert.deepEqual(
      rows.map((one) =>
        ["id", "email", "name", "amount", "changed_at"].map((name) =>
          name === "changed_at" ? timeText(one[name]) : textOf(one[name])
        )
      ),
      [
        ["-1", null, "é😀", "-0.01", "1969-12-31 23:59:59.999999"],
        ["9007199254740993", null, `it's "q", a\\b`, large, null],
      ],
    );
  }],
];

function isTrue(value: unknown): boolean {
  return value === true || value === 1n || value === 1;
}

function textOf(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value);
}

/** SQLite keeps times with a T. */
function timeText(value: unknown): string | null {
  return textOf(value)?.replace("T", " ") ?? null;
}
