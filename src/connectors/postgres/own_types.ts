import type { Column, OwnType } from "../../core/schema.ts";
import { engineColumn, typeName } from "./column_types.ts";
import type { PostgresConnection } from "./connection.ts";
import type { PreparedColumn } from "./preparation.ts";
import { engineType, numericType } from "./type_map.ts";

const NUMERIC = 1700;

/**
 * All types that columns can have, and whether every server has them and uses them for data: an enum or a type of an extension may be missing in
 * another database, and types of the catalogue (`name`, `regclass`) mean nothing there.
 */
const OWN_TYPES_SQL = `
WITH known AS (
  SELECT t.oid FROM pg_type t WHERE t.typnamespace = 'pg_catalog'::regnamespace AND (t.typtype IN ('r', 'm')
    OR t.typname IN ('numeric', 'money', 'inet', 'cidr', 'macaddr', 'macaddr8', 'bit', 'varbit', 'xml', 'tsvector', 'tsquery',
    'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle', 'int2', 'int4', 'int8', 'float4', 'float8', 'text', 'varchar',
    'bpchar', 'bool', 'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'interval', 'uuid', 'bytea', 'json', 'jsonb'))
)
SELECT t.oid::text AS oid, format_type(t.oid, -1) AS name,
  (t.oid NOT IN (SELECT oid FROM known)
    AND NOT (t.typcategory = 'A' AND t.typelem IN (SELECT oid FROM known)))::text AS is_local
FROM pg_type t WHERE t.oid = ANY($1::oid[]) AND t.typtype <> 'p'`;

/** The columns of a prepared query with their engine types, and with {@link Column.ownType} where the engine has none like it. */
export async function describedColumns(
  connection: PostgresConnection,
  columns: readonly PreparedColumn[],
  signal: AbortSignal,
): Promise<Column[]> {
  const described = columns.map(engineColumn);
  const asText = new Set(
    columns.filter((column, at) => described[at]?.type === "VARCHAR" && !isText(column))
      .map(({ dataTypeID }) => dataTypeID),
  );
  if (asText.size === 0) return described;
  const others = [...asText].filter((oid) => oid !== NUMERIC);
  const found = new Map<number, OwnType>();
  if (others.length > 0) {
    const { rows } = await connection.query<{ oid: string; name: string; is_local: string }>(
      OWN_TYPES_SQL,
      [others],
      signal,
    );
    for (const { oid, name, is_local } of rows) {
      found.set(Number(oid), { name, isLocal: is_local === "true" });
    }
  }
  return described.map((column, at) => {
    const { dataTypeID = 0, dataTypeModifier = -1 } = columns[at] ?? {};
    if (!asText.has(dataTypeID) || column.type !== "VARCHAR") return column;
    const ownType = dataTypeID === NUMERIC
      ? { name: numericType(dataTypeModifier) }
      : found.get(dataTypeID);
    return ownType === undefined ? column : { ...column, ownType };
  });
}

function isText({ dataTypeID }: PreparedColumn): boolean {
  return engineType(typeName(dataTypeID) ?? "", -1) === "VARCHAR";
}
