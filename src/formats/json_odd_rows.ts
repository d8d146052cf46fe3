import { type Batch, ROW_COLUMN } from "../core/batch.ts";
import { quoteIdentifier, quoteLiteral } from "../core/schema.ts";
import type { SlowTables } from "./json_attempt.ts";
import { generalQuery, REASON_COLUMN } from "./json_general.ts";
import { type FieldHint, grow } from "./json_growth.ts";
import { type JsonSchema, MISFIT_COLUMN, schemaColumns } from "./json_node.ts";
import { observe } from "./json_observation.ts";
import { columnNames } from "./json_row_columns.ts";
import { isDeclaredMisfit, misfitFields } from "./json_refusal.ts";
import type { Scratch } from "./json_scratch.ts";

/** Parts that are made for rows which do not fit in the same fields; all further ones share a last part. */
const MAX_ODD_PARTS = 3;

/**
 * The rows that do not fit the schema, as parts with schemas of their own: one for each of the commonest sets of fields that do not fit,
 * typed by these rows; what is still left has those fields as JSON, which takes everything.
 *
 * @param odd the table of their texts, with {@link MISFIT_COLUMN} and {@link REASON_COLUMN} (rows with a reason are refused already)
 */
export async function oddParts(
  scratch: Scratch,
  schema: JsonSchema,
  slow: SlowTables,
  odd: string,
  hint: (key: string) => FieldHint,
): Promise<Batch[]> {
  const parts: Batch[] = [];
  const groups = slow.misfits.filter(({ misfit }) =>
    !misfit.startsWith("k,") && !isDeclaredMisfit(misfit, schema)
  );
  const left: string[] = [];
  for (const { misfit } of groups.slice(0, MAX_ODD_PARTS)) {
    const texts = await scratch.create(
      `SELECT * FROM ${quoteIdentifier(odd)} WHERE ${REASON_COLUMN} IS NULL ` +
        `AND ${MISFIT_COLUMN} = ${quoteLiteral(misfit)} ORDER BY ${ROW_COLUMN}`,
    );
    const observed = await observe(scratch.session, texts, slow.form, scratch.name());
    const grown = grow(schema, observed, { hint, others: () => 0, odd: true }).schema;
    const at = new Set(misfitFields(misfit));
    const own = schema.map((field, index) => at.has(index) ? grown[index] ?? field : field);
    const decoded = await scratch.create(generalQuery(texts, own, slow.form, "true"));
    const rest = await scratch.create(
      `SELECT t.* FROM ${quoteIdentifier(texts)} AS t SEMI JOIN (SELECT ${ROW_COLUMN} FROM ${
        quoteIdentifier(decoded)
      } WHERE ${MISFIT_COLUMN} IS NOT NULL) AS d ON t.${ROW_COLUMN} = d.${ROW_COLUMN}`,
    );
    left.push(`SELECT * FROM ${quoteIdentifier(rest)}`);
    parts.push(...await part(scratch, own, decoded));
  }
  const done = groups.slice(0, MAX_ODD_PARTS).map(({ misfit }) => quoteLiteral(misfit));
  const among = done.length === 0 ? "" : ` AND ${MISFIT_COLUMN} NOT IN (${done.join(", ")})`;
  left.push(
    `SELECT * FROM ${quoteIdentifier(odd)} WHERE ${REASON_COLUMN} IS NULL${among}`,
  );
  const last = await scratch.create(
    `SELECT * FROM (${left.join(" UNION ALL ")}) ORDER BY ${ROW_COLUMN}`,
  );
  const misfits = await scratch.session.rows<{ misfit: string }>(
    `SELECT DISTINCT ${MISFIT_COLUMN} AS misfit FROM ${quoteIdentifier(last)}`,
  );
  if (misfits.length === 0) return parts;
  const fields = new Set(misfits.flatMap(({ misfit }) => misfitFields(misfit)));
  const loose: JsonSchema = schema.map((field, at) =>
    fields.has(at) ? { ...field, node: { kind: "json" } } : field
  );
  const decoded = await scratch.create(generalQuery(last, loose, slow.form, "true"));
  parts.push(...await part(scratch, loose, decoded));
  return parts;
}

async function part(scratch: Scratch, schema: JsonSchema, decoded: string): Promise<Batch[]> {
  const table = await scratch.create(
    `SELECT ${columnNames(schema)} FROM ${quoteIdentifier(decoded)} WHERE ${MISFIT_COLUMN} IS NULL`,
  );
  const rows = await scratch.count(table);
  if (rows === 0) return [];
  return [{ table, columns: schemaColumns(schema), hasRowColumn: true, rows }];
}
