import type { TableRef } from "../../core/connector.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import { MADE_BY_FLOW, type MarkedColumn } from "../_sql/widening.ts";
import type { PostgresConnection } from "./connection.ts";
import { engineType, numericType } from "./type_map.ts";

/** A column of a table, with what writing into it takes. */
export interface PostgresColumn extends MarkedColumn {
  /** The catalogue's name of the type (of a domain's base type): `int4`. */
  readonly typeName: string;
  /** The type without length or precision, as casts spell it (a domain's base type). */
  readonly castType: string;
  /** True for types that only the server can parse, such as enums, arrays and `inet`: text is sent as it is. */
  readonly opaque: boolean;
  /** A generated column takes no values. */
  readonly generated: boolean;
}

/** A table as it is now. */
export interface PostgresTable {
  readonly columns: readonly PostgresColumn[];
  /** Names of the primary key's columns; empty without one. */
  readonly primaryKey: readonly string[];
  /** Column sets of all unique indexes that ON CONFLICT can name, the primary key's included. */
  readonly uniqueKeys: readonly (readonly string[])[];
  /** False for partitioned tables, which do not tell of a row whether it was inserted, and for views and foreign tables. */
  readonly takesUpserts: boolean;
}

/** The table's name as SQL takes it; without a schema the server's search path decides. */
export function qualifiedName(table: TableRef): string {
  const name = quoteIdentifier(table.name);
  return table.schema === undefined ? name : `${quoteIdentifier(table.schema)}.${name}`;
}

/** The table's name for messages. */
export function shownName(table: TableRef): string {
  return table.schema === undefined ? table.name : `${table.schema}.${table.name}`;
}

const COLUMNS_SQL = `
WITH RECURSIVE base AS (
  SELECT a.attnum, t.oid, t.typtype, t.typbasetype, a.atttypmod AS typmod
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT b.attnum, t.oid, t.typtype, t.typbasetype, d.typtypmod
  FROM base b JOIN pg_type d ON d.oid = b.oid JOIN pg_type t ON t.oid = b.typbasetype
  WHERE b.typtype = 'd'
)
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS native,
  t.typname AS type_name, b.typmod AS typmod, format_type(b.oid, -1) AS cast_type,
  a.attnotnull AS not_null, (a.atthasdef OR a.attidentity <> '') AS has_default,
  a.attgenerated <> '' AS generated, col_description(a.attrelid, a.attnum) AS comment
FROM pg_attribute a
JOIN base b ON b.attnum = a.attnum AND b.typtype <> 'd'
JOIN pg_type t ON t.oid = b.oid
WHERE a.attrelid = to_regclass($1)
ORDER BY a.attnum`;

const KEYS_SQL = `
SELECT i.indisprimary AS is_primary, json_agg(a.attname ORDER BY k.place) AS names
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indimmediate AND i.indisvalid
  AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
GROUP BY i.indexrelid, i.indisprimary`;

interface ColumnRow {
  readonly name: string;
  readonly native: string;
  readonly type_name: string;
  readonly typmod: string;
  readonly cast_type: string;
  readonly not_null: string;
  readonly has_default: string;
  readonly generated: string;
  readonly comment: string | null;
}

/** Reads the table's definition; `undefined` when there is no such table. */
export async function readTable(
  connection: PostgresConnection,
  table: TableRef,
): Promise<PostgresTable | undefined> {
  const name = [qualifiedName(table)];
  const { rows: [found] } = await connection.query<{ kind: string }>(
    "SELECT relkind AS kind FROM pg_class WHERE oid = to_regclass($1)",
    name,
  );
  if (found === undefined) return undefined;
  const columns = await connection.query<ColumnRow>(COLUMNS_SQL, name);
  const keys = await connection.query<{ is_primary: string; names: string }>(KEYS_SQL, name);
  const uniqueKeys = keys.rows.map((row) => ({
    primary: row.is_primary === "t",
    names: JSON.parse(row.names) as string[],
  }));
  return {
    columns: columns.rows.map(toColumn),
    primaryKey: uniqueKeys.find((key) => key.primary)?.names ?? [],
    uniqueKeys: uniqueKeys.map((key) => key.names),
    takesUpserts: found.kind === "r",
  };
}

/** Without its size, a cast to which would cut: only numbers keep theirs, since casts to them are checked. */
function ownTypeOf(row: ColumnRow, typmod: number): string {
  return row.type_name === "numeric" ? numericType(typmod) : row.cast_type;
}

function toColumn(row: ColumnRow): PostgresColumn {
  const typmod = Number(row.typmod);
  const type = engineType(row.type_name, typmod);
  const limited = (row.type_name === "varchar" || row.type_name === "bpchar") && typmod > 4;
  return {
    name: row.name,
    type: type ?? "VARCHAR",
    nativeType: row.native,
    nullable: row.not_null === "f",
    hasDefault: row.has_default === "t" || row.generated === "t",
    generated: row.generated === "t",
    typeName: row.type_name,
    castType: row.cast_type,
    opaque: type === undefined,
    // citext is text that takes `a` and `A` for equal.
    ...(type === undefined || row.type_name === "citext"
      ? { ownType: { name: ownTypeOf(row, typmod) } }
      : {}),
    widens: row.comment === MADE_BY_FLOW && type !== undefined,
    ...(limited ? { maxLength: typmod - 4 } : {}),
    ...(type === "JSON" ? { json: true } : {}),
  };
}
