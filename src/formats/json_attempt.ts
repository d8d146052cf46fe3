import { ROW_COLUMN, type SourceBatch } from "../core/batch.ts";
import { quoteIdentifier } from "../core/schema.ts";
import { fastQuery } from "./json_fast.ts";
import { generalQuery, REASON_COLUMN, TAGGED_COLUMN, textsQuery } from "./json_general.ts";
import { type JsonSchema, keepsNumberText, MISFIT_COLUMN, OK_COLUMN } from "./json_node.ts";
import { columnNames } from "./json_row_columns.ts";
import type { Scratch } from "./json_scratch.ts";
import type { TextForm } from "./json_text_form.ts";

/** Rows that do not fit in the same way. */
export interface MisfitGroup {
  /** As in {@link generalQuery}. */
  readonly misfit: string;
  readonly rows: number;
}

/** One try at decoding a batch with one schema: the tables that came of it. */
export interface Attempt {
  readonly schema: JsonSchema;
  /** Decoded the quick way; only rows with {@link OK_COLUMN} count. Absent when there was no quick way. */
  readonly fast?: { readonly table: string; readonly rows: number };
  /** What the quick way did not take; absent when it took everything. */
  readonly slow?: SlowTables;
}

/** What was decoded the slow way. */
export interface SlowTables {
  /** Made by {@link textsQuery}. */
  readonly texts: string;
  readonly form: TextForm;
  /** Made by {@link generalQuery}. */
  readonly decoded: string;
  readonly rows: number;
  /** The commonest first. */
  readonly misfits: readonly MisfitGroup[];
  readonly refused: number;
}

/** Ways of not fitting that are told apart; rows of further ones are taken together with the last. */
const MAX_MISFIT_GROUPS = 64;

/** Decodes a batch with the schema: first the quick way where `shape` is given, then the rest the slow way. */
export async function attempt(
  scratch: Scratch,
  batch: SourceBatch,
  schema: JsonSchema,
  shape: readonly string[] | undefined,
  tag: string,
): Promise<Attempt> {
  const query = shape === undefined ? undefined : fastQuery(batch.table, schema, shape);
  if (query === undefined) {
    return { schema, slow: await decodeSlowly(scratch, batch.table, schema, tag) };
  }
  const table = await scratch.create(query);
  const rows = await scratch.count(table, OK_COLUMN);
  const fast = { table, rows };
  if (rows === batch.rows) return { schema, fast };
  const among = `${ROW_COLUMN} IN (SELECT ${ROW_COLUMN} FROM ${quoteIdentifier(table)} ` +
    `WHERE NOT ${OK_COLUMN})`;
  return { schema, fast, slow: await decodeSlowly(scratch, batch.table, schema, tag, among) };
}

async function decodeSlowly(
  scratch: Scratch,
  raw: string,
  schema: JsonSchema,
  tag: string,
  among?: string,
): Promise<SlowTables> {
  const tagAll = schema.some((field) => keepsNumberText(field.node));
  const texts = await scratch.create(
    textsQuery(raw, tag, { tagAll, ...(among === undefined ? {} : { among }) }),
  );
  const [found] = await scratch.session.rows<
    { n: bigint; refused: bigint; tagged: boolean | null }
  >(
    `SELECT count(*) AS n, count(${REASON_COLUMN}) AS refused, bool_or(${TAGGED_COLUMN}) AS tagged ` +
      `FROM ${quoteIdentifier(texts)}`,
  );
  const form: TextForm = {
    ...(found?.tagged === true ? { tag } : {}),
    rawNumbers: tagAll,
    finite: true,
  };
  const decoded = await scratch.create(
    generalQuery(texts, schema, form, `${REASON_COLUMN} IS NULL`),
  );
  const misfits = await scratch.session.rows<{ misfit: string; n: bigint }>(
    `SELECT ${MISFIT_COLUMN} AS misfit, count(*) AS n FROM ${quoteIdentifier(decoded)} ` +
      `WHERE ${MISFIT_COLUMN} IS NOT NULL GROUP BY 1 ORDER BY n DESC, misfit LIMIT ${MAX_MISFIT_GROUPS}`,
  );
  const refused = Number(found?.refused ?? 0n);
  return {
    texts,
    form,
    decoded,
    rows: Number(found?.n ?? 0n) - refused,
    misfits: misfits.map(({ misfit, n }) => ({ misfit, rows: Number(n) })),
    refused,
  };
}

/** Drops the tables of a try. */
export async function dropAttempt(scratch: Scratch, { fast, slow }: Attempt): Promise<void> {
  if (fast !== undefined) await scratch.drop(fast.table);
  if (slow === undefined) return;
  await scratch.drop(slow.texts);
  await scratch.drop(slow.decoded);
}

/** The table of all rows that fit, in the batch's order, and how many there are. */
export async function fittingRows(
  scratch: Scratch,
  { schema, fast, slow }: Attempt,
): Promise<{ readonly table: string; readonly rows: number }> {
  const names = columnNames(schema);
  if (fast !== undefined && slow === undefined) {
    await scratch.session.run(
      `ALTER TABLE ${quoteIdentifier(fast.table)} DROP COLUMN ${OK_COLUMN}`,
    );
    return fast;
  }
  const selects: string[] = [];
  let order = "";
  if (fast !== undefined && fast.rows > 0) {
    selects.push(`SELECT ${names} FROM ${quoteIdentifier(fast.table)} WHERE ${OK_COLUMN}`);
  }
  if (slow !== undefined && slow.rows > 0) {
    const where = slow.misfits.length === 0 ? "" : ` WHERE ${MISFIT_COLUMN} IS NULL`;
    selects.push(`SELECT ${names} FROM ${quoteIdentifier(slow.decoded)}${where}`);
  }
  if (selects.length === 0) return { table: "", rows: 0 };
  if (selects.length === 2) order = ` ORDER BY ${ROW_COLUMN}`;
  const table = await scratch.create(`${selects.join(" UNION ALL ")}${order}`);
  return { table, rows: await scratch.count(table) };
}
