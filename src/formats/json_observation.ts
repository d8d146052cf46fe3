import { quoteIdentifier } from "../core/schema.ts";
import type { Session } from "../core/session.ts";
import { hasExponent, numberParts, survives } from "./json_number.ts";
import { isNumber, isString, isZonedTime, numberText, type TextForm } from "./json_text_form.ts";

/** What values there are at one place of the payloads: how many of each kind, and what their numbers need. */
export interface Observation {
  readonly booleans: number;
  /** All strings, times among them. */
  readonly strings: number;
  /** Strings that are ISO-8601 date-times with a zone. */
  readonly times: number;
  readonly numbers: NumberObservation;
  readonly lists: number;
  readonly objects: number;
  /** By key, in the order of first appearance; absent when there are too many different ones. */
  readonly fields?: ReadonlyMap<string, Observation>;
  /** Of the lists, unless all are empty. */
  readonly element?: Observation;
}

/** What the numbers at one place need. */
export interface NumberObservation {
  readonly count: number;
  /** Written with a fraction or an exponent, or -0. */
  readonly fractions: number;
  /** Integers beyond 64 bit. */
  readonly long: number;
  /** Numbers that a double's shortest text is not the same number as. */
  readonly notDouble: number;
  readonly integerDigits: number;
  readonly scale: number;
}

/** Objects with more different keys than this are kept as JSON. */
export const MAX_OBJECT_KEYS = 100;
/** Different fields of the payload's top level. Rows with still others are refused. */
export const MAX_FIELDS = 1000;
/** Values deeper than this are kept as JSON. */
const MAX_DEPTH = 16;

interface NodeRow {
  readonly path: bigint;
  readonly id: bigint;
  readonly k: string | null;
  readonly booleans: bigint;
  readonly strings: bigint;
  readonly times: bigint;
  readonly numbers: bigint;
  readonly fractions: bigint;
  readonly long: bigint;
  readonly not_double: bigint;
  readonly integer_digits: bigint | null;
  readonly scale: bigint | null;
  readonly lists: bigint;
  readonly objects: bigint;
}

interface Place {
  readonly row?: NodeRow;
  readonly fields: Map<string, Place>;
  element?: Place;
  wide: boolean;
}

/**
 * Looks at all payloads of `texts` (a table with `__flow_row` and `_payload`, objects only), level by level: one statement per depth, in which
 * the engine unfolds the members and counts what they are.
 */
export async function observe(
  session: Session,
  texts: string,
  form: TextForm,
  scratch: string,
): Promise<Observation> {
  const tables: string[] = [];
  const root: Place = { fields: new Map(), wide: false };
  const places = new Map<bigint, Place>([[0n, root]]);
  let above = `SELECT 0::BIGINT AS path, __flow_row AS r, _payload AS j FROM ${texts}`;
  let next = 1n;
  try {
    for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
      const members = quoteIdentifier(`${scratch}_members_${depth}`);
      const nodes = quoteIdentifier(`${scratch}_nodes_${depth}`);
      tables.push(members, nodes);
      await session.run(`CREATE TABLE ${members} AS ${membersOf(above)}`);
      await session.run(`CREATE TABLE ${nodes} AS ${countMembers(members, form, next)}`);
      if (depth === 0) {
        await session.run(
          `DELETE FROM ${nodes} WHERE id NOT IN ` +
            `(SELECT id FROM ${nodes} ORDER BY first_row, first_at LIMIT ${MAX_FIELDS})`,
        );
      } else {
        const wide = await session.rows<{ path: bigint }>(
          `DELETE FROM ${nodes} WHERE path IN (SELECT path FROM ${nodes} GROUP BY path ` +
            `HAVING count(*) > ${MAX_OBJECT_KEYS}) RETURNING path`,
        );
        for (const { path } of wide) {
          const place = places.get(path);
          if (place !== undefined) place.wide = true;
        }
      }
      const rows = await session.rows<NodeRow>(
        `SELECT * EXCLUDE (first_row, first_at) FROM ${nodes} ORDER BY path, first_row, first_at, id`,
      );
      for (const row of rows) {
        const place: Place = { row, fields: new Map(), wide: false };
        places.set(row.id, place);
        const parent = places.get(row.path);
        if (row.k === null) {
          if (parent !== undefined) parent.element = place;
        } else parent?.fields.set(row.k, place);
        if (row.id >= next) next = row.id + 1n;
      }
      if (!rows.some((row) => row.lists > 0n || row.objects > 0n)) break;
      // At the last depth, what is still nested has no known inside: it is as if there were too many keys.
      if (depth === MAX_DEPTH - 1) {
        for (const row of rows) {
          const place = places.get(row.id);
          if (place !== undefined) place.wide = true;
        }
      }
      above = `SELECT n.id AS path, m.r, m.j FROM ${members} AS m JOIN ${nodes} AS n ` +
        `ON m.path = n.path AND m.k IS NOT DISTINCT FROM n.k WHERE ascii(m.j) IN (91, 123)`;
    }
  } finally {
    for (const table of tables) await session.run(`DROP TABLE IF EXISTS ${table}`);
  }
  return toObservation(root);
}

/** Members of objects with their key, elements of lists without one. */
function membersOf(above: string): string {
  return `SELECT path, r, k, p, j::VARCHAR AS j FROM (
    SELECT path, r, unnest(keys) AS k, unnest(range(len(keys))) AS p, unnest(items) AS j FROM (
      SELECT path, r, json_keys(j) AS keys, json_extract(j, '$.*') AS items
      FROM (${above}) WHERE ascii(ltrim(j)) = 123)
    UNION ALL
    SELECT path, r, NULL, 0, unnest(json_extract(j, '$[*]')) FROM (${above}) WHERE ascii(ltrim(j)) = 91)`;
}

function countMembers(members: string, form: TextForm, firstId: bigint): string {
  const fraction = `(NOT regexp_full_match(t, '-?[0-9]+') OR t = '-0')`;
  return `SELECT path, k, row_number() OVER () + ${firstId - 1n} AS id,
    count(*) FILTER (j IN ('true', 'false')) AS booleans,
    count(*) FILTER (is_string) AS strings,
    count(*) FILTER (is_string AND CASE WHEN is_string THEN ${
    isZonedTime("(j[2:-2])")
  } END) AS times,
    count(t) AS numbers,
    count(*) FILTER (${fraction}) AS fractions,
    count(*) FILTER (NOT ${fraction} AND try_cast(t AS BIGINT) IS NULL) AS long,
    count(*) FILTER (t IS NOT NULL AND NOT ${survives("t", "DOUBLE")}) AS not_double,
    max(CASE WHEN t IS NULL THEN NULL WHEN d IS NULL ` +
    `THEN length(ltrim(split_part(t, '.', 1), '-0')) ` +
    `ELSE greatest(length(d.digits) + d.exp, 0) END) AS integer_digits,
    max(CASE WHEN t IS NULL THEN NULL WHEN d IS NULL ` +
    `THEN length(rtrim(split_part(t, '.', 2), '0')) ELSE greatest(-d.exp, 0) END) AS scale,
    count(*) FILTER (ascii(j) = 91) AS lists,
    count(*) FILTER (ascii(j) = 123) AS objects,
    min(r) AS first_row, arg_min(p, r) AS first_at
  FROM (
    SELECT *, CASE WHEN ${hasExponent("t")} THEN ${numberParts("t")} END AS d
    FROM (SELECT *, CASE WHEN ${isNumber("j", form)} THEN ${numberText("j", form)} END AS t, ` +
    `${isString("j", form)} AS is_string FROM ${members}))
  GROUP BY path, k`;
}

function toObservation(place: Place): Observation {
  const { row } = place;
  return {
    booleans: Number(row?.booleans ?? 0n),
    strings: Number(row?.strings ?? 0n),
    times: Number(row?.times ?? 0n),
    numbers: {
      count: Number(row?.numbers ?? 0n),
      fractions: Number(row?.fractions ?? 0n),
      long: Number(row?.long ?? 0n),
      notDouble: Number(row?.not_double ?? 0n),
      integerDigits: Number(row?.integer_digits ?? 0n),
      scale: Number(row?.scale ?? 0n),
    },
    lists: Number(row?.lists ?? 0n),
    objects: Number(row?.objects ?? 1n),
    ...(place.wide ? {} : {
      fields: new Map([...place.fields].map(([key, field]) => [key, toObservation(field)])),
    }),
    ...(place.element === undefined ? {} : { element: toObservation(place.element) }),
  };
}
