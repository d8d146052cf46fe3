import type { TableRef } from "../../core/connector.ts";
import type { DatabaseTable } from "../../core/database.ts";
import type { Column, TargetColumn } from "../../core/schema.ts";
import type { SqlValue } from "../../core/session.ts";
import {
  COMMENT_TIMESTAMPTZ,
  COMMENT_UUID,
  engineTypeOfColumn,
  engineTypeOfResult,
} from "./type_map.ts";
import type { ColumnDefinition } from "./wire_value.ts";

/** Runs a query with a small result. */
export type Ask = (
  sql: string,
  params: readonly SqlValue[],
) => Promise<readonly (readonly SqlValue[])[]>;

/** `information_schema` compares names without case, also where tables' names have it. */
const OF_TABLE = "table_schema = COALESCE(?, DATABASE()) AND table_name = ? " +
  "AND (@@lower_case_table_names <> 0 OR CAST(table_name AS BINARY) = CAST(? AS BINARY))";

const COLUMNS = "SELECT column_name, data_type, column_type, is_nullable, column_default, extra, " +
  `character_maximum_length, column_comment, character_set_name, collation_name FROM information_schema.columns WHERE ${OF_TABLE} ` +
  "ORDER BY ordinal_position";

/** Indexes of expressions and of beginnings of texts are no keys of columns. */
const KEYS = "SELECT index_name, column_name, sub_part FROM information_schema.statistics " +
  `WHERE non_unique = 0 AND ${OF_TABLE} ORDER BY index_name, seq_in_index`;

/** MariaDB's JSON columns are LONGTEXT with this check; the constraint is named like the column. */
const JSON_CHECKS = "SELECT constraint_name FROM information_schema.check_constraints " +
  "WHERE constraint_schema = COALESCE(?, DATABASE()) AND table_name = ? " +
  "AND check_clause LIKE 'json\\_valid(%'";

/** Reads the table's definition; `undefined` when there is no such table. */
export async function readTable(
  ask: Ask,
  isMariadb: boolean,
  ref: TableRef,
): Promise<DatabaseTable | undefined> {
  const schema = ref.schema ?? null;
  const found = await ask(COLUMNS, [schema, ref.name, ref.name]);
  if (found.length === 0) return undefined;
  const keys = await ask(KEYS, [schema, ref.name, ref.name]);
  const checks = isMariadb ? await ask(JSON_CHECKS, [schema, ref.name]) : [];
  const json = new Set(checks.map(([name]) => String(name).toLowerCase()));
  const columns = found.map((row) => toColumn(row, json, isMariadb));
  const uniqueKeys = new Map<string, string[]>();
  const unusable = new Set<string>();
  for (const [index, column, prefix] of keys) {
    const name = String(index);
    if (column === null || column === undefined || (prefix !== null && prefix !== undefined)) {
      unusable.add(name);
    }
    uniqueKeys.set(name, [...uniqueKeys.get(name) ?? [], String(column)]);
  }
  const usable = [...uniqueKeys].filter(([name]) => !unusable.has(name));
  return {
    columns,
    primaryKey: usable.find(([name]) => name === "PRIMARY")?.[1] ?? [],
    uniqueKeys: usable.map(([, names]) => names),
  };
}

/** Default, AUTO_INCREMENT and comment of a column, as DDL says them. */
function attributes({ byDefault, extra, comment, isMariadb }: {
  readonly byDefault: string | undefined;
  readonly extra: string;
  readonly comment: string;
  readonly isMariadb: boolean;
}): string {
  const onUpdate = /on update \S+/i.exec(extra)?.[0];
  // MariaDB gives an expression; MySQL gives the bare value, and says when it is an expression.
  const isCode = isMariadb || /DEFAULT_GENERATED/i.test(extra);
  const value = byDefault === undefined || isCode ? byDefault : quoteText(byDefault);
  const isFunction = /^CURRENT_TIMESTAMP(\(\d*\))?$/i.test(value ?? "");
  const shown = isMariadb || !isCode || isFunction ? value : `(${value})`;
  return [
    value === undefined ? "" : ` DEFAULT ${shown}`,
    onUpdate === undefined ? "" : ` ${onUpdate}`,
    /auto_increment/i.test(extra) ? " AUTO_INCREMENT" : "",
    comment === "" ? "" : ` COMMENT ${quoteText(comment)}`,
  ].join("");
}

/** Backslashes escape, unless the server was told otherwise. */
function quoteText(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

function toColumn(
  row: readonly SqlValue[],
  json: ReadonlySet<string>,
  isMariadb: boolean,
): TargetColumn {
  const [
    name,
    dataType,
    columnType,
    nullable,
    byDefault,
    extra,
    length,
    comment,
    charset,
    collation,
  ] = row.map((value) => value === null ? undefined : String(value));
  const type = engineTypeOfColumn({
    dataType: dataType ?? "",
    columnType: columnType ?? "",
    comment: comment ?? "",
    json: json.has((name ?? "").toLowerCase()),
  });
  const isDefaulted = byDefault !== undefined && !(isMariadb && byDefault === "NULL");
  const limited = (dataType === "varchar" || dataType === "char") && type === "VARCHAR";
  return {
    name: name ?? "",
    type,
    nativeType: columnType ?? "",
    nullable: nullable === "YES",
    hasDefault: isDefaulted || /auto_increment|generated/i.test(extra ?? ""),
    restated: {
      type: charset === undefined ? "" : ` CHARACTER SET ${charset} COLLATE ${collation}`,
      column: attributes({
        byDefault: isDefaulted ? byDefault : undefined,
        extra: extra ?? "",
        comment: comment ?? "",
        isMariadb,
      }),
    },
    ...(limited && length !== undefined ? { maxLength: Number(length) } : {}),
    ...(type === "JSON" ? { json: true } : {}),
  };
}

const COMMENTS = "SELECT table_schema, table_name, column_name, column_comment " +
  "FROM information_schema.columns WHERE table_schema = ? AND table_name = ? AND column_comment IN (?, ?)";

const BOUND_INTEGERS: Readonly<Record<string, string>> = {
  TINYINT: "BIGINT",
  SMALLINT: "BIGINT",
  INTEGER: "BIGINT",
  UTINYINT: "UBIGINT",
  USMALLINT: "UBIGINT",
  UINTEGER: "UBIGINT",
};

/** The columns of a query with engine types. Those that come straight from a column of flow's have the type that its comment tells. */
export async function describeColumns(
  ask: Ask,
  definitions: readonly ColumnDefinition[],
  hasParameters: boolean,
): Promise<Column[]> {
  const columns: Column[] = [];
  const comments = new Map<string, Map<string, string>>();
  for (const definition of definitions) {
    const { name, schema, orgTable, orgName } = definition;
    let type = engineTypeOfResult(definition);
    // Before parameters are bound the server guesses how large the integers made of them are.
    if (hasParameters && orgName === "") type = BOUND_INTEGERS[type] ?? type;
    if (orgTable !== "" && (type === "TIMESTAMP" || type === "VARCHAR")) {
      const key = `${schema}\n${orgTable}`;
      let known = comments.get(key);
      if (known === undefined) {
        const rows = await ask(COMMENTS, [schema, orgTable, COMMENT_TIMESTAMPTZ, COMMENT_UUID]);
        known = new Map(rows.map((row) => [String(row[2]), String(row[3])]));
        comments.set(key, known);
      }
      const comment = known.get(orgName);
      if (comment === COMMENT_TIMESTAMPTZ && type === "TIMESTAMP") {
        type = "TIMESTAMP WITH TIME ZONE";
      } else if (comment === COMMENT_UUID && type === "VARCHAR") type = "UUID";
    }
    columns.push({ name, type });
  }
  return columns;
}
