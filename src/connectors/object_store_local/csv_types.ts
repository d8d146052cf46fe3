import { quoteIdentifier } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";

/** The types a CSV column can have, from narrow to wide. What fits none of them stays VARCHAR. */
const CANDIDATES: readonly { readonly type: string; fits(field: string): string }[] = [
  { type: "BOOLEAN", fits: (f) => `lower(${f}) IN ('true', 'false')` },
  // By way of the text again: 007, +5 and 1_000 are no numbers, they would come back as other texts.
  { type: "BIGINT", fits: (f) => `TRY_CAST(${f} AS BIGINT)::VARCHAR IS NOT DISTINCT FROM ${f}` },
  { type: "HUGEINT", fits: (f) => `TRY_CAST(${f} AS HUGEINT)::VARCHAR IS NOT DISTINCT FROM ${f}` },
  {
    type: "DOUBLE",
    fits: (f) =>
      `(${f} IN ('nan', 'inf', '-inf') OR (regexp_full_match(${f}, '${NUMBER}') AND (` +
      `length(regexp_replace(${f}, '[-.]|[eE].*', '', 'g')) <= 15 ` +
      `OR TRY_CAST(${f} AS DOUBLE)::VARCHAR IS NOT DISTINCT FROM ${f})))`,
  },
  // Digits that a double would change.
  {
    type: "DECIMAL(38,18)",
    fits: (f) =>
      `(regexp_full_match(${f}, '-?(0|[1-9][0-9]*)([.][0-9]{1,18})?') ` +
      `AND TRY_CAST(${f} AS DECIMAL(38,18)) IS NOT NULL)`,
  },
  { type: "DATE", fits: (f) => `TRY_CAST(${f} AS DATE)::VARCHAR IS NOT DISTINCT FROM ${f}` },
  {
    type: "TIMESTAMP",
    fits: (f) => `(regexp_full_match(${f}, '${TIME}') AND TRY_CAST(${f} AS TIMESTAMP) IS NOT NULL)`,
  },
  {
    type: "TIMESTAMP WITH TIME ZONE",
    fits: (f) =>
      `(regexp_full_match(${f}, '${TIME}(Z|[+-][0-9]{2}(:?[0-9]{2})?)') ` +
      `AND TRY_CAST(${f} AS TIMESTAMPTZ) IS NOT NULL)`,
  },
];

const NUMBER = "-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]{1,3})?";
const TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?";

const GUESS_ROWS = 1000;

/** The condition under which a field is of the type; NULL or true for NULL. */
export function fitsType(field: string, type: string): string {
  if (type === "VARCHAR") return "true";
  return CANDIDATES.find((candidate) => candidate.type === type)?.fits(field) ?? "false";
}

/**
 * The type of each text column of a table: the narrowest that all values fit exactly. `known` types (of earlier rows of the same file) are
 * kept where they still fit, and changed where they do not; `undefined` is a column that had no value yet.
 *
 * @param sampleRows how many rows to look at
 */
export async function inferTypes(
  session: Session,
  table: string,
  columns: readonly string[],
  known: readonly (string | undefined)[],
  sampleRows?: number,
): Promise<(string | undefined)[]> {
  const source = sampleRows === undefined
    ? quoteIdentifier(table)
    : `(SELECT * FROM ${quoteIdentifier(table)} LIMIT ${sampleRows})`;
  const types = new Map(columns.map((column, at) => [column, known[at]]));
  const open = await misfits(session, source, columns, types);
  // Trying all types on all rows is slow: the first rows tell nearly always.
  const guesses = await narrowest(session, `(SELECT * FROM ${source} LIMIT ${GUESS_ROWS})`, open);
  const wrong = await misfits(session, source, open, guesses);
  const found = new Map([...guesses, ...await narrowest(session, source, wrong)]);
  for (const [column, type] of found) {
    if (type !== undefined) types.set(column, widened(types.get(column), type));
  }
  return columns.map((column) => types.get(column));
}

/** The columns that have a value which is not of their type, or one where no type is known. */
async function misfits(
  session: Session,
  source: string,
  columns: readonly string[],
  types: ReadonlyMap<string, string | undefined>,
): Promise<string[]> {
  const fits = await allFit(
    session,
    source,
    columns.map((column) => {
      const type = types.get(column);
      const field = quoteIdentifier(column);
      return type === undefined ? `${field} IS NULL` : fitsType(field, type);
    }),
  );
  return columns.filter((_column, at) => fits[at] === false);
}

/** The narrowest type that all values of a column fit; `undefined` where there is no value. */
async function narrowest(
  session: Session,
  source: string,
  columns: readonly string[],
): Promise<Map<string, string | undefined>> {
  const fits = await allFit(
    session,
    source,
    columns.flatMap((column) => {
      const field = quoteIdentifier(column);
      return [`${field} IS NULL`, ...CANDIDATES.map((candidate) => candidate.fits(field))];
    }),
  );
  const width = CANDIDATES.length + 1;
  return new Map(columns.map((column, index) => {
    const [isEmpty, ...own] = fits.slice(index * width, (index + 1) * width);
    if (isEmpty !== false) return [column, undefined];
    return [column, CANDIDATES.find((_candidate, at) => own[at] !== false)?.type ?? "VARCHAR"];
  }));
}

/** For each condition whether it holds for all rows; NULL where it is NULL for all of them. */
async function allFit(
  session: Session,
  source: string,
  conditions: readonly string[],
): Promise<(boolean | null)[]> {
  if (conditions.length === 0) return [];
  const rows = await session.rows<Record<string, boolean | null>>(
    `SELECT ${conditions.map((c, at) => `bool_and(${c}) AS c${at}`).join(", ")} FROM ${source}`,
  );
  return conditions.map((_c, at) => rows[0]?.[`c${at}`] ?? null);
}

const NUMBERS = ["BIGINT", "HUGEINT", "DOUBLE", "DECIMAL(38,18)"];

/**
 * The type of a column whose earlier type no longer fits. Numbers grow into wider numbers; anything else becomes text, so that types do
 * not go to and fro between batches.
 */
function widened(before: string | undefined, now: string): string {
  if (before === undefined) return now;
  const [from, to] = [NUMBERS.indexOf(before), NUMBERS.indexOf(now)];
  return from !== -1 && to > from ? now : "VARCHAR";
}
