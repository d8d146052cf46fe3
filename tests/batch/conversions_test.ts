/** What becomes of values whose types the table does not have: the same between all databases, and nothing is lost. */
import assert from "node:assert/strict";
import { runPipeline } from "../../src/batch/run_pipeline.ts";
import { FlowError } from "../../src/core/error.ts";
import { quoteIdentifier, quoteLiteral } from "../../src/core/schema.ts";
import { createEngine } from "../../src/sql/engine.ts";
import { CONVERSIONS } from "../conformance/conversions.ts";
import {
  availableKinds,
  batchSpec,
  batchTarget,
  column,
  declaredTable,
  dependencies,
  keptOpen,
  newPlace,
  type Place,
  withScratch,
} from "./rig.ts";

const CASES = CONVERSIONS.map((conversion, at) => ({ ...conversion, name: `c${at}` }));

/** A table `src` of one row, with a column for each conversion. */
async function makeSource(place: Place, scratchDir: string): Promise<void> {
  const { dialect } = place.database;
  const columns = CASES.map(({ name, from }) =>
    `${dialect.quote(name)} ${dialect.columnType(from)}`
  );
  await place.run(`CREATE TABLE src (${columns.join(", ")})`);
  const values = CASES.map(({ name, value, from }) =>
    `CAST(${quoteLiteral(value)} AS ${from}) AS ${name}`
  );
  const engine = await createEngine({ scratchDir });
  const session = await place.database.connect(new AbortController().signal);
  try {
    const table = await session.table({ name: "src" });
    const into = { table: dialect.tableName({ name: "src" }), columns: table?.columns ?? [] };
    await session.load(into, `SELECT ${values.join(", ")}`, await engine.connect());
  } finally {
    await session.close();
    await engine.close();
  }
}

/** The engine's texts of the only row of a table. */
async function textsOf(place: Place, table: string, scratchDir: string): Promise<string[]> {
  const kept = CASES.filter(({ outcome }) => outcome !== undefined);
  const items = kept.map(({ name, to }) =>
    `CAST(CAST(${quoteIdentifier(name)} AS ${to}) AS VARCHAR) AS ${name}`
  );
  const names = kept.map(({ name }) => place.database.dialect.quote(name)).join(", ");
  const engine = await createEngine({ scratchDir });
  const session = await place.database.connect(new AbortController().signal);
  try {
    const reading = await engine.connect();
    const texts: string[] = [];
    for await (const piece of session.read(`SELECT ${names} FROM ${table}`, [], engine, reading)) {
      const rows = await reading.rows<Record<string, string>>(
        `SELECT ${items.join(", ")} FROM ${piece.relation}`,
      );
      for (const row of rows) texts.push(...kept.map(({ name }) => String(row[name])));
      await piece.release();
    }
    return texts;
  } finally {
    await session.close();
    await engine.close();
  }
}

async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "loaded";
  } catch (error) {
    assert(error instanceof FlowError, String(error));
    return error.domain;
  }
}

async function checkPair(from: Place, to: Place, scratchDir: string): Promise<void> {
  const deps = dependencies(scratchDir);
  const kept = CASES.filter(({ outcome }) => outcome !== undefined);
  const table = declaredTable("kept", kept.map(({ name, to: type }) => column(name, type)));
  const names = kept.map(({ name }) => from.database.dialect.quote(name)).join(", ");
  await runPipeline(batchSpec(from, `SELECT ${names} FROM src`, [batchTarget(to, table)]), deps);
  assert.deepEqual(
    await textsOf(to, "kept", scratchDir),
    kept.map(({ outcome }) => outcome),
  );
  // MySQL's driver warns of what failed loads leave at a connection.
  const open = await keptOpen(deps, from, ...(from !== to && to.kind === "mysql" ? [] : [to]));
  const found: string[] = [];
  try {
    for (const { name, from: type, value, to: wanted, outcome } of CASES) {
      if (outcome !== undefined) continue;
      const lossy = declaredTable(`lossy_${name}`, [column(name, wanted)]);
      const spec = batchSpec(from, `SELECT ${name} FROM src`, [batchTarget(to, lossy)]);
      const told = await outcomeOf(runPipeline(spec, open.deps));
      if (told !== "user") found.push(`${value} from ${type} to ${wanted}: ${told}`);
    }
  } finally {
    await open.close();
  }
  assert.deepEqual(found, []);
}

const kinds = availableKinds();

for (const source of kinds) {
  for (const target of kinds) {
    const ways = source === target ? ["two databases", "one database"] : ["two databases"];
    for (const way of ways) {
      Deno.test(`conversions from ${source} to ${target}, ${way}`, () =>
        withScratch(async (scratchDir) => {
          const from = await newPlace(source, scratchDir);
          const to = way === "one database" ? from : await newPlace(target, scratchDir);
          try {
            await makeSource(from, scratchDir);
            await checkPair(from, to, scratchDir);
          } finally {
            await from.remove();
            if (to !== from) await to.remove();
          }
        }));
    }
  }
}
