import { quoteIdentifier } from "../core/schema.ts";
import { ROW_COLUMN } from "../core/batch.ts";
import { type JsonSchema, MISFIT_COLUMN } from "./json_node.ts";
import { isLenientOnly, SUSPICIOUS, tagNumbers } from "./json_number.ts";
import { RAW_METADATA, rowColumns } from "./json_row_columns.ts";
import { keyPaths, type TextForm } from "./json_text_form.ts";
import { typedValue, valueFits } from "./json_text_value.ts";

/** Column of the texts' table: why the row is refused, NULL when it is an object of JSON. */
export const REASON_COLUMN = "__flow_reason";
/** Column of the texts' table: the numbers of the payload are tagged. */
export const TAGGED_COLUMN = "__flow_tagged";
/** The reason of rows that are not JSON, until somebody looks closer. */
export const NOT_JSON = "not JSON";

/**
 * The query for the table of texts that are to be decoded the slow way: the rows of a raw table that have a payload, with
 * {@link REASON_COLUMN}, and with tagged numbers where the parser would change some.
 *
 * @param among an SQL condition on the row number
 * @param tagAll also where the parser only changes the numbers' spelling
 */
export function textsQuery(
  raw: string,
  tag: string,
  options: { readonly among?: string; readonly tagAll: boolean },
): string {
  const form = `CASE WHEN _payload IS NULL THEN 'not UTF-8' ` +
    `WHEN regexp_full_match(_payload, '\\s*') THEN 'empty payload' ` +
    `WHEN NOT json_valid(_payload) THEN '${NOT_JSON}' ` +
    // The engine may look at the type of all rows at once, also of those that are not JSON.
    `WHEN try(json_type(_payload)) <> 'OBJECT' THEN 'JSON, but not an object: ' || ` +
    `CASE try(json_type(_payload)) WHEN 'ARRAY' THEN 'a list' WHEN 'VARCHAR' THEN 'a string' ` +
    `WHEN 'BOOLEAN' THEN 'a boolean' WHEN 'NULL' THEN 'null' ELSE 'a number' END END`;
  const suspicious = `CASE WHEN reason IS NULL THEN regexp_matches(_payload, '${SUSPICIOUS}') END`;
  const lenient = `CASE WHEN suspicious THEN ${isLenientOnly("_payload")} END`;
  const tagged = options.tagAll ? "reason IS NULL" : "suspicious IS TRUE";
  const where = options.among === undefined ? "" : ` AND ${options.among}`;
  const order = options.among === undefined ? "" : ` ORDER BY ${ROW_COLUMN}`;
  return `SELECT CASE WHEN ${tagged} THEN ${
    tagNumbers("_payload", tag)
  } ELSE _payload END AS _payload, ` +
    `${RAW_METADATA}, ${tagged} AS ${TAGGED_COLUMN}, ` +
    `CASE WHEN ${lenient} THEN '${NOT_JSON}' ELSE reason END AS ${REASON_COLUMN} ` +
    `FROM (SELECT *, ${suspicious} AS suspicious FROM (SELECT *, ${form} AS reason ` +
    `FROM ${
      quoteIdentifier(raw)
    } WHERE (_payload IS NOT NULL OR _undecodable IS NOT NULL)${where}))` +
    order;
}

/**
 * The query that decodes texts the slow way: a table of the schema's columns, the metadata and {@link MISFIT_COLUMN}, which lists what does
 * not fit: `k` for the keys (an unknown one, or one twice), the number of a field in the schema for its value; each followed by a comma.
 */
export function generalQuery(
  texts: string,
  schema: JsonSchema,
  form: TextForm,
  where: string,
): string {
  const values = schema.map((_field, at) => `__flow_v${at}`);
  const fits = schema.map((_field, at) => `__flow_f${at}`);
  const extract = schema.length === 0
    ? "[]::VARCHAR[]"
    : `json_extract(_payload, ${keyPaths(schema.map((field) => field.key))})::VARCHAR[]`;
  const all = ["__flow_keys", ...fits].join(" AND ");
  const parts = [
    "CASE WHEN __flow_keys THEN '' ELSE 'k,' END",
    ...fits.map((name, at) => `CASE WHEN ${name} THEN '' ELSE '${at},' END`),
  ];
  const positions = new Map(schema.map((field, at) => [field.key, at]));
  const columns = rowColumns(schema, (field) => {
    const at = positions.get(field.key) ?? 0;
    return typedValue(values[at] ?? "", field.node, form);
  });
  const checked = schema.map((field, at) =>
    `${valueFits(values[at] ?? "", field.node, form)} AS ${fits[at]}`
  );
  const texts_ = quoteIdentifier(texts);
  return `SELECT ${columns}, CASE WHEN ${all} THEN NULL ELSE concat(${parts.join(", ")}) END ` +
    `AS ${MISFIT_COLUMN} FROM (SELECT ${[...checked, "*"].join(", ")} FROM (` +
    `SELECT ${
      [...values.map((name, at) => `__flow_x[${at + 1}] AS ${name}`), RAW_METADATA].join(", ")
    }, list_count(__flow_x) = __flow_n AS __flow_keys FROM (` +
    `SELECT ${RAW_METADATA}, ${extract} AS __flow_x, len(json_keys(_payload)) AS __flow_n ` +
    `FROM ${texts_} WHERE ${where})))`;
}
