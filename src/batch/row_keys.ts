import type { DatabaseSession, Dialect } from "../core/database.ts";
import { FlowError } from "../core/error.ts";
import type { LoadContext } from "./load_context.ts";

/** How many duplicate keys a message shows. */
const EXAMPLES = 3;

/** What the incoming rows are, by their keys. */
export interface KeyCensus {
  readonly rows: number;
  readonly keys: number;
}

/** Values that are sorted at a fraction of what a group each costs. */
const SORTS_QUICKLY = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL|DATE|TIMESTAMP|UUID)/;

/** The query that counts rows, keys, and rows with a NULL in their key. */
export function censusSql(context: LoadContext): string {
  const { session: { dialect }, target, relation } = context;
  const keys = target.keys.map((key) => dialect.quote(key));
  const [key] = keys;
  const type = target.columns.find(({ name }) => name === target.keys[0])?.type ?? "";
  if (keys.length === 1 && SORTS_QUICKLY.test(type)) {
    return `SELECT count(DISTINCT ${key}) AS n_keys, count(*) AS n_rows, ` +
      `count(*) - count(${key}) AS n_nulls FROM ${relation} AS s`;
  }
  const isNull = keys.map((key) => `${key} IS NULL`).join(" OR ");
  return `SELECT count(*) AS n_keys, coalesce(sum(n), 0) AS n_rows, ` +
    `coalesce(sum(CASE WHEN ${isNull} THEN n ELSE 0 END), 0) AS n_nulls ` +
    `FROM (SELECT ${keys.join(", ")}, count(*) AS n FROM ${relation} AS s ` +
    `GROUP BY ${keys.join(", ")}) AS g`;
}

/**
 * Counts the incoming rows and refuses those that no key tells apart.
 *
 * @param sql the query of {@link censusSql}
 * @throws FlowError `key_null`, `key_duplicate` (user): nothing has been written yet.
 */
export async function countKeys(context: LoadContext, sql: string): Promise<KeyCensus> {
  const { session, target } = context;
  const [row] = await session.rows<Record<"n_keys" | "n_rows" | "n_nulls", unknown>>(sql);
  const census = { rows: Number(row?.n_rows ?? 0), keys: Number(row?.n_keys ?? 0) };
  const nulls = Number(row?.n_nulls ?? 0);
  if (nulls > 0) {
    throw new FlowError(
      `${nulls} row${nulls === 1 ? "" : "s"} for ${target.table} ha${
        nulls === 1 ? "s" : "ve"
      } NULL in the key (${target.keys.join(", ")})`,
      {
        code: "key_null",
        domain: "user",
        hint: "leave them out in the query (WHERE … IS NOT NULL), or choose other keys",
        details: { table: target.table, rows: nulls },
      },
    );
  }
  if (census.keys === census.rows) return census;
  throw new FlowError(
    `several rows for ${target.table} have the same key: ${await examples(session, context)}`,
    {
      code: "key_duplicate",
      domain: "user",
      hint: `make the query unique by ${target.keys.join(", ")}, or choose other keys`,
      details: { table: target.table, rows: census.rows - census.keys },
    },
  );
}

async function examples(session: DatabaseSession, context: LoadContext): Promise<string> {
  const { dialect } = session;
  const keys = context.target.keys.map((key) => dialect.quote(key));
  const rows = await session.rows(
    `SELECT ${keys.join(", ")}, count(*) AS n FROM ${context.relation} AS s GROUP BY ${
      keys.join(", ")
    } HAVING count(*) > 1 LIMIT ${EXAMPLES}`,
  );
  return rows.map((row) =>
    `${context.target.keys.map((key) => `${key} = ${String(row[key])}`).join(", ")} (${
      row["n"]
    } times)`
  ).join("; ");
}

/** The condition that the key of the target's row `t` is not among the incoming rows. */
export function isGone(
  dialect: Dialect,
  keys: readonly string[],
  relation: string,
): string {
  return dialect.lacksKey?.(relation, keys) ??
    `NOT EXISTS (SELECT 1 FROM ${relation} AS s WHERE ${sameKey(dialect, keys, "s", "t")})`;
}

/** `a.k1 = b.k1 AND …`: keys are never NULL. */
export function sameKey(
  dialect: Dialect,
  keys: readonly string[],
  left: string,
  right: string,
): string {
  return keys.map((key) => `${left}.${dialect.quote(key)} = ${right}.${dialect.quote(key)}`)
    .join(" AND ");
}
