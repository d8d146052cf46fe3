import { type RejectedRows, ROW_COLUMN, type SourceBatch } from "../core/batch.ts";
import { quoteIdentifier, quoteLiteral } from "../core/schema.ts";
import type { SlowTables } from "./json_attempt.ts";
import { NOT_JSON, REASON_COLUMN } from "./json_general.ts";
import { type JsonSchema, MISFIT_COLUMN, nodeType } from "./json_node.ts";
import { untagNumbers } from "./json_number.ts";
import { MAX_FIELDS } from "./json_observation.ts";
import type { Scratch } from "./json_scratch.ts";
import { keyPath } from "./json_text_form.ts";

/** Payloads that are read again for the place of their error, at most. */
const MAX_EXPLAINED = 50;
const MAX_EXPLAINED_CHARACTERS = 65_536;
const SHOWN_CHARACTERS = 60;
const BYTE_ORDER_MARK = 0xfeff;

/** True for a way of not fitting that no schema mends: a declared type is not changed by what comes. */
export function isDeclaredMisfit(misfit: string, schema: JsonSchema): boolean {
  return misfitFields(misfit).some((at) => schema[at]?.node.kind === "declared");
}

/** The numbers of the fields that do not fit. */
export function misfitFields(misfit: string): number[] {
  return misfit.split(",").filter((part) => /^\d+$/.test(part)).map(Number);
}

/** SQL: true when the JSON object (a column) has a key twice; false also for what is not JSON, since filters come in any order. */
export function hasDoubleKey(json: string): string {
  return `coalesce(try(len(list_distinct(json_keys(${json}))) <> len(json_keys(${json}))), false)`;
}

/**
 * The rows that are refused: those that are not objects of JSON, those with a key twice, those that do not fit a declared type.
 * With a table of the rows that do not fit but are not refused either, for other parts.
 */
export async function refuse(
  scratch: Scratch,
  batch: SourceBatch,
  schema: JsonSchema,
  slow: SlowTables,
): Promise<{ readonly rejected?: RejectedRows; readonly odd?: string }> {
  let odd: string | undefined;
  const selects = [
    `SELECT ${REASON_COLUMN} AS _error, ${ROW_COLUMN} FROM ${quoteIdentifier(slow.texts)} ` +
    `WHERE ${REASON_COLUMN} IS NOT NULL`,
  ];
  if (slow.misfits.length > 0) {
    odd = await scratch.create(misfitsQuery(schema, slow));
    selects.push(
      `SELECT ${REASON_COLUMN}, ${ROW_COLUMN} FROM ${quoteIdentifier(odd)} ` +
        `WHERE ${REASON_COLUMN} IS NOT NULL`,
    );
  }
  if (slow.refused === 0 && odd === undefined) return {};
  const table = await scratch.create(
    `SELECT * FROM (${selects.join(" UNION ALL ")}) ORDER BY ${ROW_COLUMN}`,
  );
  const count = await scratch.count(table);
  if (count > 0 && slow.refused > 0) await explain(scratch, batch, table);
  return {
    ...(count === 0 ? {} : { rejected: { table, count, by: "row_number" } }),
    ...(odd === undefined ? {} : { odd }),
  };
}

/** The texts of the rows that do not fit, with the reason to refuse them, NULL for those that become odd rows. */
function misfitsQuery(schema: JsonSchema, slow: SlowTables): string {
  const declared = schema.flatMap((field, at) => {
    if (field.node.kind !== "declared") return [];
    const text = `json_extract(t._payload, ${keyPath(field.key)})::VARCHAR`;
    const shown = slow.form.tag === undefined ? text : untagNumbers(text, slow.form.tag);
    const name = field.key.length > SHOWN_CHARACTERS
      ? `${field.key.slice(0, SHOWN_CHARACTERS)}…`
      : field.key;
    const type = nodeType(field.node);
    return [
      `WHEN contains(',' || d.${MISFIT_COLUMN}, ',${at},') THEN ` +
      `${quoteLiteral(`field '${name.replaceAll("\0", "\u2400")}': `)} || ${shortened(shown)} || ` +
      `${quoteLiteral(` is not exactly a ${type}, which the definition declares`)}`,
    ];
  });
  return `SELECT t.* EXCLUDE (${REASON_COLUMN}), d.${MISFIT_COLUMN}, ` +
    `CASE WHEN starts_with(d.${MISFIT_COLUMN}, 'k,') AND ${
      hasDoubleKey("t._payload")
    } THEN 'the key ' || to_json(list_first(list_filter(json_keys(t._payload), ` +
    `lambda k: len(list_filter(json_keys(t._payload), lambda other: other = k)) > 1)))::VARCHAR || ` +
    `' stands twice in the object' ${declared.join(" ")} ` +
    // What is left of new keys: those that found no room.
    `WHEN starts_with(d.${MISFIT_COLUMN}, 'k,') ` +
    `THEN 'the batch''s fields are more than ${MAX_FIELDS}: a new one of this row is too many' ` +
    `END AS ${REASON_COLUMN} ` +
    `FROM ${quoteIdentifier(slow.texts)} AS t JOIN ${quoteIdentifier(slow.decoded)} AS d ` +
    `ON t.${ROW_COLUMN} = d.${ROW_COLUMN} WHERE d.${MISFIT_COLUMN} IS NOT NULL ` +
    `ORDER BY t.${ROW_COLUMN}`;
}

function shortened(text: string): string {
  return `CASE WHEN length(${text}) > ${SHOWN_CHARACTERS} ` +
    `THEN left(${text}, ${SHOWN_CHARACTERS}) || '…' ELSE ${text} END`;
}

/** Replaces the reason of the first rows that are not JSON by one that says where and what. */
async function explain(scratch: Scratch, batch: SourceBatch, table: string): Promise<void> {
  const rows = await scratch.session.rows<{ row: bigint; payload: string; marked: boolean }>(
    `SELECT b.${ROW_COLUMN} AS row, r._payload AS payload, ` +
      // It is lost on the way to JavaScript.
      `starts_with(r._payload, chr(${BYTE_ORDER_MARK})) AS marked FROM ${
        quoteIdentifier(table)
      } AS b ` +
      `JOIN ${quoteIdentifier(batch.table)} AS r ON r.${ROW_COLUMN} = b.${ROW_COLUMN} ` +
      `WHERE b._error = '${NOT_JSON}' AND length(r._payload) <= ${MAX_EXPLAINED_CHARACTERS} ` +
      `ORDER BY 1 LIMIT ${MAX_EXPLAINED}`,
  );
  if (rows.length === 0) return;
  const cases = rows.map(({ row, payload, marked }) => {
    const reason = marked ? "it begins with a byte order mark" : whyNotJson(payload);
    return `WHEN ${row} THEN ${quoteLiteral(`${NOT_JSON}: ${reason}`)}`;
  });
  await scratch.session.run(
    `UPDATE ${quoteIdentifier(table)} SET _error = CASE ${ROW_COLUMN} ${cases.join(" ")} ` +
      `ELSE _error END WHERE _error = '${NOT_JSON}'`,
  );
}

function whyNotJson(payload: string): string {
  try {
    JSON.parse(payload);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return message.replaceAll("\0", "\u2400").slice(0, 200);
  }
  // JavaScript takes half a surrogate pair (\\ud800), which no text in UTF-8 can hold.
  return "a string has half of a surrogate pair";
}
