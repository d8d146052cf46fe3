/**
 * A column of a relation. `type` is the engine's own type text, such as `BIGINT`, `DECIMAL(18,2)`,
 * `STRUCT(a BIGINT, b VARCHAR)`, `VARCHAR[]` or `TIMESTAMP WITH TIME ZONE`.
 */
export interface Column {
  readonly name: string;
  readonly type: string;
  /**
   * The type in the words of the database that has the column, where `type` (VARCHAR) only stands for it because the engine has none like
   * it: `numeric` without precision, `integer[]`, an enum. Databases of the same kind make, fill and compare columns of it.
   */
  readonly ownType?: OwnType;
}

/** See {@link Column.ownType}. */
export interface OwnType {
  /** As the database spells it. */
  readonly name: string;
  /** True when only the one database has it: an enum, a type of an extension. Told of queries, not of tables. */
  readonly isLocal?: boolean;
}

/** A column as a target declares it. */
export interface TargetColumn extends Column {
  /** The type in the target's own words (`character varying(10)`), for messages. */
  readonly nativeType: string;
  readonly nullable: boolean;
  /** Longest text in characters, where the target limits it. */
  readonly maxLength?: number;
  /** True when the target fills the column by itself when it is left out (default, identity, generated). */
  readonly hasDefault: boolean;
  /**
   * What a statement that changes the type has to say again, or it is lost (MySQL): behind the type (character set and collation), and behind
   * NULL or NOT NULL (default, AUTO_INCREMENT, comment).
   */
  readonly restated?: { readonly type: string; readonly column: string };
  /** True when the column holds JSON text (json, jsonb): structs and lists are serialised into it. */
  readonly json?: boolean;
}

/**
 * Columns that a source adds to every row. They are in the relation `source` under `transform.sql`; they are written to a
 * target only when the SQL names them or an existing target table has a column of that name.
 */
export const METADATA_COLUMNS = [
  "_event_ts",
  "_partition",
  "_offset",
  "_key",
  "_headers",
] as const;

/** One of {@link METADATA_COLUMNS}. */
export type MetadataColumn = typeof METADATA_COLUMNS[number];

/** The engine types of {@link METADATA_COLUMNS} as Kafka fills them; files have a VARCHAR `_partition`. */
export const METADATA_TYPES: Readonly<Record<MetadataColumn, string>> = {
  _event_ts: "TIMESTAMP WITH TIME ZONE",
  _partition: "INTEGER",
  _offset: "BIGINT",
  _key: "VARCHAR",
  _headers: "VARCHAR",
};

/** True for the names of {@link METADATA_COLUMNS}. */
export function isMetadataColumn(name: string): name is MetadataColumn {
  return (METADATA_COLUMNS as readonly string[]).includes(name);
}

/** The name as a quoted SQL identifier (`"a""b"`), the form shared by DuckDB, Postgres and SQLite. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The text as an SQL string literal (`'it''s'`). */
export function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
