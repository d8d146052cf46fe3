import { ROW_COLUMN } from "../core/batch.ts";

/** A node of the tree that `json_serialize_sql` gives: whatever keys DuckDB writes. */
export interface SqlNode {
  [key: string]: unknown;
}

/**
 * The tree of a statement that gives the row numbers of the rows for which an expression of `select` fails: of its select list, or of its
 * condition. It looks at each row in one pass, where running the statement itself tells of one failing row at a time.
 *
 * The rows are suspects only: an expression that the statement would not have come to may be the one that fails. And there may be
 * others: what fails in a join, an aggregate, a window, a subquery or a volatile function is not seen here, and the engine refuses to bind some such
 * statements. `undefined` when nothing is left to look at.
 *
 * @param select a SELECT_NODE whose rows are rows of the relation `alias`; it is not changed
 */
export function suspectRows(select: SqlNode, alias: string): SqlNode | undefined {
  const where = select["where_clause"] as SqlNode | null;
  const condition = where === null || isBeyondRow(where) ? undefined : where;
  const items = (select["select_list"] as SqlNode[]).flatMap(expressionsOf)
    .filter((item) => !isBeyondRow(item)).map(fails);
  const selected = items.length === 0 || condition === undefined
    ? items
    : [conjunction("AND", [tried(condition), conjunction("OR", items)])];
  const suspicious = condition === undefined ? selected : [fails(condition), ...selected];
  if (suspicious.length === 0) return undefined;
  return {
    ...select,
    select_list: [{ ...base("COLUMN_REF", "COLUMN_REF"), column_names: [alias, ROW_COLUMN] }],
    where_clause: conjunction("OR", suspicious),
    modifiers: [],
    qualify: null,
  };
}

/** What an item of a select list computes. */
function expressionsOf(item: SqlNode): SqlNode[] {
  if (item["class"] === "COLUMN_REF") return [];
  if (item["class"] !== "STAR" || item["columns"] === true) return [item];
  return (item["replace_list"] as { value: SqlNode }[]).map(({ value }) => value);
}

const BEYOND_ROW: ReadonlySet<unknown> = new Set(["WINDOW", "SUBQUERY", "STAR"]);

/** True for what depends on more than one row, makes several of one, or stands for several expressions. */
function isBeyondRow(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(isBeyondRow);
  if (value === null || typeof value !== "object") return false;
  const node = value as SqlNode;
  if (BEYOND_ROW.has(node["class"]) || node["function_name"] === "unnest") return true;
  return Object.values(node).some(isBeyondRow);
}

/** `TRY(row(expression)) IS NULL`: a row is never NULL, whatever is in it. */
function fails(expression: SqlNode): SqlNode {
  const row = {
    ...base("FUNCTION", "FUNCTION"),
    function_name: "row",
    schema: "main",
    catalog: "",
    children: [{ ...expression, alias: "" }],
    filter: null,
    order_bys: { type: "ORDER_MODIFIER", orders: [] },
    distinct: false,
    is_operator: false,
    export_state: false,
  };
  return { ...base("OPERATOR", "OPERATOR_IS_NULL"), children: [tried(row)] };
}

function tried(expression: SqlNode): SqlNode {
  return { ...base("OPERATOR", "OPERATOR_TRY"), children: [expression] };
}

function conjunction(kind: "AND" | "OR", children: readonly SqlNode[]): SqlNode {
  const [only] = children;
  return children.length === 1 && only !== undefined
    ? only
    : { ...base("CONJUNCTION", `CONJUNCTION_${kind}`), children: [...children] };
}

function base(kind: string, type: string): SqlNode {
  return { class: kind, type, alias: "", query_location: 0 };
}
