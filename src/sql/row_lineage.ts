import { ROW_COLUMN } from "../core/batch.ts";
import { METADATA_COLUMNS } from "../core/schema.ts";
import { FlowError } from "../core/error.ts";
import type { Session } from "../core/session.ts";
import { type SqlNode, suspectRows } from "./suspect_rows.ts";

/**
 * The syntax tree of a statement that must be one SELECT; anything else (several statements, COPY, DELETE, a syntax error) is the
 * user's error `transform_invalid`.
 */
async function parseSelect(session: Session, sql: string): Promise<SqlNode> {
  const serialized = await session.rows<{ tree: string }>(
    "SELECT json_serialize_sql($1::VARCHAR)::VARCHAR AS tree",
    [sql],
  );
  // Locations can be 2^64 - 1, which a JavaScript number would turn into a text that DuckDB does not read back.
  const text = (serialized[0]?.tree ?? "{}").replace(/"query_location":\d+/g, '"query_location":0');
  const tree = JSON.parse(text) as SqlNode;
  const statements = tree["statements"];
  if (tree["error"] === true || !Array.isArray(statements) || statements.length !== 1) {
    const reason = typeof tree["error_message"] === "string"
      ? tree["error_message"]
      : "it holds several statements";
    throw new FlowError(`transform.sql must be one SELECT statement: ${reason}`, {
      code: "transform_invalid",
      domain: "user",
      hint: "write SELECT … FROM source …",
    });
  }
  return tree;
}

/** A transform's statement as it runs. */
export interface SourceStatement {
  /** The user's statement, with the metadata columns that it names beside a star taken out of the star. */
  readonly plain: string;
  /**
   * The same with {@link ROW_COLUMN} of the relation `source` in its result, or `undefined` when its rows are not rows of `source` (it groups,
   * aggregates, removes duplicates, unites, or takes `source` through a subquery).
   */
  readonly numbered: string | undefined;
  /** For a `numbered` statement: one that gives the numbers of rows on which it may fail ({@link suspectRows}). It may not bind. */
  readonly suspects: string | undefined;
}

/**
 * Makes a user's statement ready to run. It is rewritten as DuckDB's own syntax tree, so that no text of the user is misread.
 *
 * @throws FlowError `transform_invalid` (user) when it is not one SELECT.
 */
export async function sourceStatement(session: Session, sql: string): Promise<SourceStatement> {
  const tree = await parseSelect(session, sql);
  const plain = withoutDoubles(tree) ? await sqlOf(session, tree) : sql;
  const statements = tree["statements"] as SqlNode[];
  const node = (statements[0] as SqlNode)["node"] as SqlNode;
  const alias = sourceAlias(node["from_table"] as SqlNode);
  if (alias === undefined || !mapsRows(node, await aggregateNames(session))) {
    return { plain, numbered: undefined, suspects: undefined };
  }
  const suspects = suspectRows(node, alias);
  const selectList = node["select_list"] as SqlNode[];
  // An unqualified or `source.*` star brings the row number along.
  if (!selectList.some((item) => isStarOf(item, alias))) {
    selectList.push({
      class: "COLUMN_REF",
      type: "COLUMN_REF",
      alias: "",
      column_names: [alias, ROW_COLUMN],
    });
  }
  return {
    plain,
    numbered: await sqlOf(session, tree),
    suspects: suspects &&
      await sqlOf(session, { ...tree, statements: [{ ...statements[0], node: suspects }] }),
  };
}

async function sqlOf(session: Session, tree: SqlNode): Promise<string> {
  const rows = await session.rows<{ sql: string }>("SELECT json_deserialize_sql($1::JSON) AS sql", [
    JSON.stringify(tree),
  ]);
  return rows[0]?.sql ?? "";
}

function isStarOf(item: SqlNode, alias: string): boolean {
  return item["class"] === "STAR" && item["columns"] !== true &&
    (item["relation_name"] === "" || item["relation_name"] === alias);
}

/**
 * Takes out of every star over `source` the metadata columns that stand beside it by name: `SELECT *, _offset` means one `_offset`, and a
 * star brings them all along. Returns whether there were any.
 */
function withoutDoubles(value: unknown): boolean {
  if (Array.isArray(value)) {
    return value.map(withoutDoubles).includes(true);
  }
  if (value === null || typeof value !== "object") return false;
  const node = value as SqlNode;
  let changed = Object.values(node).map(withoutDoubles).includes(true);
  if (node["type"] !== "SELECT_NODE") return changed;
  const alias = sourceAlias(node["from_table"] as SqlNode);
  if (alias === undefined) return changed;
  const items = node["select_list"] as SqlNode[];
  const named = items.map(outputName).filter((name) => METADATA.has(name));
  for (const star of items.filter((item) => isStarOf(item, alias))) {
    const replaced = (star["replace_list"] as SqlNode[]).map(({ key }) => lower(key));
    const excluded = (star["exclude_list"] as string[]).map(lower);
    const doubles = named.filter((name) => !replaced.includes(name) && !excluded.includes(name));
    if (doubles.length === 0) continue;
    star["exclude_list"] = [...star["exclude_list"] as string[], ...new Set(doubles)];
    changed = true;
  }
  return changed;
}

const METADATA: ReadonlySet<string> = new Set(METADATA_COLUMNS);

/** The name that an item of a select list has in the result, in lower case; "" where it has none of its own. */
function outputName(item: SqlNode): string {
  if (item["class"] === "STAR") return "";
  const alias = lower(item["alias"]);
  if (alias !== "" || item["class"] !== "COLUMN_REF") return alias;
  return lower((item["column_names"] as unknown[]).at(-1));
}

function lower(name: unknown): string {
  return typeof name === "string" ? name.toLowerCase() : "";
}

async function aggregateNames(session: Session): Promise<ReadonlySet<string>> {
  const rows = await session.rows<{ name: string }>(
    "SELECT DISTINCT function_name AS name FROM duckdb_functions() WHERE function_type = 'aggregate'",
  );
  return new Set(rows.map((row) => row.name));
}

function mapsRows(node: SqlNode, aggregates: ReadonlySet<string>): boolean {
  if (node["type"] !== "SELECT_NODE") return false;
  const isEmpty = (value: unknown) => !Array.isArray(value) || value.length === 0;
  if (!isEmpty(node["group_expressions"]) || !isEmpty(node["group_sets"])) return false;
  if (node["having"] != null || node["aggregate_handling"] !== "STANDARD_HANDLING") return false;
  const modifiers = (node["modifiers"] ?? []) as SqlNode[];
  if (modifiers.some((modifier) => modifier["type"] === "DISTINCT_MODIFIER")) return false;
  return !callsAggregate(node["select_list"], aggregates);
}

/** True when an aggregate is called outside of a window and of a subquery. */
function callsAggregate(value: unknown, aggregates: ReadonlySet<string>): boolean {
  if (Array.isArray(value)) return value.some((item) => callsAggregate(item, aggregates));
  if (value === null || typeof value !== "object") return false;
  const node = value as SqlNode;
  if (node["class"] === "WINDOW" || node["class"] === "SUBQUERY") return false;
  const name = node["function_name"];
  if (node["class"] === "FUNCTION" && typeof name === "string" && aggregates.has(name)) return true;
  // UNNEST makes several rows of one; they keep the number of the row they come from.
  return Object.values(node).some((child) => callsAggregate(child, aggregates));
}

/** The name by which the one occurrence of `source` in the FROM tree goes. */
function sourceAlias(from: SqlNode | undefined): string | undefined {
  const found: string[] = [];
  const visit = (node: SqlNode | undefined): void => {
    if (node === undefined) return;
    if (node["type"] === "BASE_TABLE" && String(node["table_name"]).toLowerCase() === "source") {
      const alias = String(node["alias"] ?? "");
      found.push(alias === "" ? "source" : alias);
    } else if (node["type"] === "JOIN") {
      visit(node["left"] as SqlNode);
      visit(node["right"] as SqlNode);
    }
  };
  visit(from);
  return found.length === 1 ? found[0] : undefined;
}
