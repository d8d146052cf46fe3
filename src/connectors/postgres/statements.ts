import { quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { WritePlan } from "./write_plan.ts";

/**
 * The SQL that moves rows: into the table by COPY, into a staging table and from there into the table. Staging tables are temporary;
 * their columns are `r` (bigint, the row's place in the batch) and `c1`, `c2` … in the plan's order.
 */

/** `COPY table (columns) FROM STDIN` for {@link wireQuery}'s text. */
export function copyIntoTable(plan: WritePlan): string {
  return copySql(plan.table, plan.columns.map(nameOf), wireDelimiter(plan));
}

/** The engine's query whose CSV text goes into the table. `rows` is a FROM clause with its conditions. */
export function wireQuery(plan: WritePlan, rows: string): string {
  return `SELECT ${plan.columns.map(({ wire }) => wire).join(", ")} FROM ${rows}`;
}

/**
 * The delimiter of {@link wireQuery}'s text. A lone text column is a trap: `\.` on a line of its own ends the COPY unless quoted. As
 * the delimiter cannot occur in a line of one column, a backslash in that place makes the engine quote every text that has one.
 */
export function wireDelimiter(plan: WritePlan): string {
  return plan.columns.length === 1 ? "\\" : ",";
}

/** The staging table of a merge, with the target's types; empty at the start of every transaction. */
export function createMergeStage(plan: WritePlan, stage: string): string {
  const columns = plan.columns.map(({ target }, at) => `c${at + 1} ${target.nativeType}`);
  return `CREATE TEMP TABLE IF NOT EXISTS ${stage} (r bigint, ${columns.join(", ")}) ` +
    `ON COMMIT DELETE ROWS; TRUNCATE ${stage}`;
}

/** The staging table in which the server looks for bad rows: everything is text. */
export function createTextStage(plan: WritePlan, stage: string): string {
  const columns = plan.columns.map((_, at) => `c${at + 1} text`);
  return `CREATE TEMP TABLE ${stage} (r bigint, ${columns.join(", ")}) ON COMMIT DROP`;
}

/** `COPY stage FROM STDIN` for {@link stageQuery}'s text. */
export function copyIntoStage(plan: WritePlan, stage: string): string {
  return copySql(stage, ["r", ...plan.columns.map((_, at) => `c${at + 1}`)], ",");
}

/**
 * The engine's query whose CSV text goes into a staging table.
 *
 * @param row engine expression of the row's place in the batch
 * @param as `hex` writes every text as hex digits of its UTF-8, for servers whose own encoding does not have all characters
 */
export function stageQuery(
  plan: WritePlan,
  rows: string,
  row: string,
  as: "text" | "hex" = "text",
): string {
  const wires = plan.columns.map(({ wire }) =>
    as === "text" ? wire : `hex(encode(CAST(${wire} AS VARCHAR)))`
  );
  return `SELECT ${[row, ...wires].join(", ")} FROM ${rows}`;
}

/** Brings the rows of a staging table into the table: a merge by the plan's keys where it has some. */
export function insertFromStage(plan: WritePlan, stage: string): string {
  const columns = plan.columns.map((_, at) => `c${at + 1}`);
  return insertSql(plan, `SELECT r, ${columns.join(", ")} FROM ${stage}`);
}

/**
 * A block that brings the rows of a text staging table into the table in chunks, splits the chunks that fail, and lists the rows
 * that are to blame in `errors` (row bigint, reason text), a temporary table of that name.
 */
export function insertFindingBadRows(
  plan: WritePlan,
  stage: string,
  errors: string,
  as: "text" | "hex",
): string {
  const casts = plan.columns.map(({ target }, at) => {
    const text = as === "text" ? `c${at + 1}` : `convert_from(decode(c${at + 1}, 'hex'), 'UTF8')`;
    // Without length: an explicit cast to varchar(3) would cut the text, an assignment refuses it.
    return `${text}::${target.castType} AS c${at + 1}`;
  });
  const chunk = `SELECT r, ${casts.join(", ")} FROM ${stage} ` +
    "WHERE r >= flow_at AND r < flow_at + flow_size ORDER BY r";
  const probes = plan.columns.map(({ target }, at) => {
    const text = as === "text" ? `c${at + 1}` : `convert_from(decode(c${at + 1}, 'hex'), 'UTF8')`;
    return columnProbe(target.name, `${text}::${target.castType}`, stage);
  });
  return `DO ${quoteLiteral(findingBlock(insertSql(plan, chunk), stage, errors, probes))}`;
}

/** Names the column in the message when its value is what the server refuses, which the server itself does not tell. */
function columnProbe(name: string, cast: string, stage: string): string {
  return `IF flow_column IS NULL THEN
          BEGIN
            PERFORM ${cast} FROM ${stage} WHERE r = flow_at;
          EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
            flow_column := ${quoteLiteral(name)};
          END;
        END IF;`;
}

function findingBlock(
  insert: string,
  stage: string,
  errors: string,
  probes: readonly string[],
): string {
  return `#variable_conflict use_column
DECLARE
  flow_at bigint;
  flow_last bigint;
  flow_size bigint := ${MAX_CHUNK_ROWS};
  flow_state text;
  flow_message text;
  flow_detail text;
  flow_column text;
BEGIN
  SELECT min(r), max(r) INTO flow_at, flow_last FROM ${stage};
  WHILE flow_at <= flow_last LOOP
    BEGIN
      ${insert};
      flow_at := flow_at + flow_size;
      flow_size := least(flow_size * 2, ${MAX_CHUNK_ROWS});
    EXCEPTION
      WHEN data_exception OR integrity_constraint_violation OR with_check_option_violation
        OR program_limit_exceeded OR raise_exception THEN
      IF flow_size > 1 THEN
        flow_size := greatest(flow_size / 4, 1);
      ELSE
        GET STACKED DIAGNOSTICS flow_state = RETURNED_SQLSTATE,
          flow_message = MESSAGE_TEXT, flow_detail = PG_EXCEPTION_DETAIL;
        flow_column := NULL;
        ${probes.join("\n        ")}
        INSERT INTO ${errors} VALUES (flow_at,
          coalesce('column "' || flow_column || '": ', '') || flow_message ||
          CASE WHEN flow_detail <> '' THEN ': ' || flow_detail ELSE '' END ||
          ' [SQLSTATE ' || flow_state || ']');
        flow_at := flow_at + 1;
        flow_size := 8;
      END IF;
    END;
  END LOOP;
END`;
}

const MAX_CHUNK_ROWS = 4096;

/** Types whose equality is missing, or means something else than "the same value". */
const COMPARED_AS_TEXT = new Set([
  "json",
  "xml",
  "point",
  "line",
  "lseg",
  "box",
  "path",
  "polygon",
  "circle",
  "jsonpath",
]);

/**
 * An INSERT of the rows of `from` (columns `r`, `c1` …). With keys, the last row of a key in the order of `r` wins, rows that are there
 * are updated, and those that would not change are left alone.
 */
function insertSql(plan: WritePlan, from: string): string {
  const names = plan.columns.map(nameOf);
  const places = plan.columns.map((_, at) => `c${at + 1}`);
  // As COPY does: values for identity columns are taken.
  const into = `INSERT INTO ${plan.table} AS target (${
    names.join(", ")
  }) OVERRIDING SYSTEM VALUE SELECT ${places.join(", ")} FROM `;
  if (plan.keys.length === 0) return `${into}(${from}) AS rows`;
  const isKey = (name: string) => plan.keys.includes(name);
  const keyPlaces = places.filter((_, at) => isKey(plan.columns[at]?.target.name ?? ""));
  const keyNames = plan.keys.map(quoteIdentifier).join(", ");
  const others = plan.columns.filter(({ target }) => !isKey(target.name));
  const latest = `(SELECT DISTINCT ON (${keyPlaces.join(", ")}) ${places.join(", ")} ` +
    `FROM (${from}) AS rows ORDER BY ${keyPlaces.join(", ")}, r DESC) AS latest`;
  if (others.length === 0) return `${into}${latest} ON CONFLICT (${keyNames}) DO NOTHING`;
  const sets = others.map(nameOf).map((name) => `${name} = EXCLUDED.${name}`);
  const compared = (side: string) =>
    others.map((column) =>
      `${side}.${nameOf(column)}${COMPARED_AS_TEXT.has(column.target.typeName) ? "::text" : ""}`
    ).join(", ");
  return `${into}${latest} ON CONFLICT (${keyNames}) DO UPDATE SET ${sets.join(", ")} ` +
    `WHERE ROW(${compared("target")}) IS DISTINCT FROM ROW(${compared("EXCLUDED")})`;
}

function copySql(table: string, columns: readonly string[], delimiter: string): string {
  return `COPY ${table} (${columns.join(", ")}) FROM STDIN ` +
    `(FORMAT csv, DELIMITER ${quoteLiteral(delimiter)})`;
}

function nameOf(column: WritePlan["columns"][number]): string {
  return quoteIdentifier(column.target.name);
}
