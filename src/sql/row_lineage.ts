import { ROW_COLUMN } from "../core/batch.ts";
import { FlowError } from "../core/error.ts";
import type { Session } from "../core/session.ts";

/** A node of the tree that `json_serialize_sql` gives: whatever keys DuckDB writes. */
interface SqlNode {
  [key: string]: unknown;
}

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

/**
 * The statement with {@link ROW_COLUMN} of the relation `source` added to its result, or `undefined` when its rows are not rows of
 * `source` (it groups, aggregates, removes duplicates, unites, or takes `source` through a subquery).
 *
 * The statement is rewritten as DuckDB's own syntax tree, so that no text of the user is misread.
 */
export async function withRowColumn(session: Session, sql: string): Promise<string | undefined> {
  const tree = await parseSelect(session, sql);
  const statements = tree["statements"] as SqlNode[];
  const node = (statements[0] as SqlNode)["node"] as SqlNode;
  if (!mapsRows(node, await aggregateNames(session))) return undefined;
  const alias = sourceAlias(node["from_table"] as SqlNode);
  if (alias === undefined) return undefined;
  const selectList = node["select_list"] as SqlNode[];
  // An unqualified or `source.*` star brings the row number along.
  const starred = selectList.some((item) =>
    item["class"] === "STAR" &&
    (item["relation_name"] === "" || item["relation_name"] === alias) && item["columns"] !== true
  );
  if (!starred) {
    selectList.push({
      class: "COLUMN_REF",
      type: "COLUMN_REF",
      alias: "",
      column_names: [alias, ROW_COLUMN],
    });
  }
  const deserialized = await session.rows<{ sql: string }>(
    "SELECT json_deserialize_sql($1::JSON) AS sql",
    [JSON.stringify(tree)],
  );
  return deserialized[0]?.sql;
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
