import type { Clock } from "./clock.ts";
import type { TableRef } from "./connector.ts";
import type { Normalizer } from "./table_spec.ts";
import type { Column, TargetColumn } from "./schema.ts";
import type { Engine, Session, SqlValue } from "./session.ts";

/** The databases that declared tables live in. */
export type DatabaseKind = "postgres" | "mysql" | "sqlite" | "duckdb";

/** A table of a database as it is now. */
export interface DatabaseTable {
  readonly columns: readonly TargetColumn[];
  /** Names of the primary key's columns in order; empty without one. */
  readonly primaryKey: readonly string[];
  /** Column sets of all unique indexes over plain columns, the primary key's included. */
  readonly uniqueKeys: readonly (readonly string[])[];
  /** False where `Dialect.upsert` does not work with this kind of table. */
  readonly takesUpserts?: boolean;
}

/** An expression of SQL with the engine type of its values. */
export interface TypedExpression {
  readonly sql: string;
  readonly type: string;
}

/**
 * How one database spells what the load modes need. Everything returns SQL text; names are quoted, values are never put in (they are bound).
 * Types are the engine's type texts (`BIGINT`, `TIMESTAMP WITH TIME ZONE` …), which are the common language of all databases.
 */
export interface Dialect {
  readonly kind: DatabaseKind;
  /** The name as a quoted identifier. */
  quote(name: string): string;
  /** A form of a column's name that is the same for all names of that column: lower case, where `id` and `ID` are one. */
  foldName(name: string): string;
  /** The table's name as SQL takes it. Where a database has no schemas (SQLite), `main` or none is its own, another becomes a prefix `schema_name`. */
  tableName(ref: TableRef): string;
  /** The n-th parameter, from 1: `$1` or `?`. */
  placeholder(index: number): string;
  /** The type of a column in CREATE TABLE. `key`: the column belongs to a key or index (MySQL cannot index unbounded text). */
  columnType(
    type: string,
    options?: { readonly maxLength?: number; readonly key?: boolean },
  ): string;
  /** How long text of a key is where nothing is said (characters), as `columnType` makes it; absent where it has no limit. */
  readonly keyTextLength?: number;
  /** The value as the engine type: exact, or an error of the statement. Used for projections of queries to declared columns. */
  cast(expression: TypedExpression, type: string): string;
  /** The value as a type of the database's own (the name of a `Column.ownType`): exact, or an error of the statement. Absent where there are no such types. */
  castToOwn?(expression: TypedExpression, ownType: string): string;
  /**
   * A column's value in the form in which `differs` compares it with that of another column. Columns of one engine type may be of unlike types in
   * the database (BIT(1) and TINYINT(1)), have collations that take unequal texts for equal, or types without equality. Absent where values are compared as they are.
   */
  comparable?(expression: TypedExpression): string;
  /** The normalizer applied to a text (for `parse_timestamp` also to a time); ISO-8601 with zones is understood, and what is no time is an error, not NULL. */
  normalize(expression: TypedExpression, normalizer: Normalizer, type: string): string;
  /** True when the two differ, NULL being equal to NULL. */
  differs(left: string, right: string): string;
  /**
   * SHA-256 (32 bytes) over an unambiguous encoding of the values in order: per value `N` for NULL, otherwise the length of its UTF-8 text in
   * bytes, `:`, and the text. The text form of a type is the engine's (`true`, ISO dates, UTC times with 6 digits only where needed), so that one table's
   * hashes are the same whatever way rows came in.
   */
  rowHash(values: readonly TypedExpression[]): string;
  /** A time plus seconds (may be negative), of the time's own type. `seconds` is an SQL expression. */
  addSeconds(expression: TypedExpression, seconds: string): string;
  /** Microseconds since the epoch as the value that is bound for a parameter compared with columns of TIMESTAMP WITH TIME ZONE. */
  timestampValue(micros: bigint): SqlValue;
  /** A parameter as a typed expression: `CAST($1 AS timestamptz)` where the database would not find the type by itself. */
  typedParameter(placeholder: string, type: string): string;
  /** The value in a form that sorts as its type does; absent where all values have that form (SQLite takes times as texts of any form). */
  sortable?(expression: TypedExpression): string;
  /** The value below (or equal to) every value of the type, which may be a number of the database's own (`Column.ownType`); bound for `$watermark` on a first run. */
  lowestValue(type: string): SqlValue;
  /** `UPDATE` of a table from another relation: sets columns of the rows that match. Expressions refer to the table as `t` and to the source as `s`. */
  updateFrom(request: {
    readonly table: string;
    /** A FROM item without alias: a quoted table name or a parenthesised query. */
    readonly source: string;
    readonly set: Readonly<Record<string, string>>;
    readonly on: string;
  }): string;
  /**
   * Where a database does it quicker than by an update and an insert: one statement that inserts the rows of a relation (`s`) and updates those
   * (`t`) that are there under a unique key, which the relation holds once each. It gives one row, with the counts `inserted` and `updated`.
   */
  upsert?(request: {
    readonly table: string;
    readonly source: string;
    /** Column → expression over `s`, in order. */
    readonly insert: Readonly<Record<string, string>>;
    /** Columns of the unique key. */
    readonly keys: readonly string[];
    /** Columns that an update sets to what would have been inserted. */
    readonly update: readonly string[];
    /** Whether a row that is there is updated: over `t`, and `excluded` for what would have been inserted. */
    readonly where: string;
  }): string;
  /**
   * The condition that no row of a relation has the key of the row `t`. Absent where `NOT EXISTS` does it; SQLite would read the whole relation
   * for each row.
   */
  lacksKey?(source: string, keys: readonly string[]): string;
  /** `DELETE` of the rows of a table for which the condition holds; it refers to the table as `t`. */
  deleteWhere(table: string, condition: string): string;
  /** Empties a table within the transaction. */
  emptyTable(table: string): string;
  /** Makes a temporary table of the session from a query; it vanishes with the session. `name` is not quoted. */
  createStageAs(name: string, query: string): string;
  /**
   * Makes an empty temporary table of the session. `keys` are the columns by which others look into it: MySQL indexes them, since without an
   * index MariaDB compares every row with every other.
   */
  createStage(name: string, columns: readonly Column[], keys?: readonly string[]): string;
  /** The name of a stage in other statements. */
  stageName(name: string): string;
  dropStage(name: string): string;
  /** A statement that tells the planner about a stage that was just filled; absent where that is not needed. `stage` is quoted. */
  refreshStatistics?(stage: string): string;
  createSchema(schema: string): string | undefined;
  /** `ALTER TABLE … ADD COLUMN`; the column takes NULL. */
  addColumn(table: string, name: string, columnType: string): string;
  /** Changes a column's type to one that holds all its values; undefined where the database does not keep types (SQLite) or cannot change them. */
  widenColumn(
    table: string,
    name: string,
    columnType: string,
    /** The column as it is: MySQL has to be told again what stays. Left out: it takes NULL, and has nothing else. */
    column?: Pick<TargetColumn, "nullable" | "restated">,
  ): string | undefined;
  /** The type of a column that is made for values of a type that the database does not have: JSON for lists. Any other type is kept as it is. */
  keptType(type: string): string;
  /** Tables lie in schemas. Where they do not (SQLite), or a schema is a database (MySQL), flow's own tables have its name as a prefix. */
  readonly hasSchemas: boolean;
  /** A column takes and keeps values of any type, whatever type it is declared with (SQLite). */
  readonly keepsAnyValue: boolean;
  /** DDL takes part in transactions (MySQL commits before it). */
  readonly transactionalDdl: boolean;
  /** True for a statement that is known to commit what is open, as MySQL's DDL does; it begins with its first word. Absent where only COMMIT does. */
  commitsByItself?(statement: string): boolean;
  /** There are SAVEPOINT and RELEASE SAVEPOINT. */
  readonly savepoints: boolean;
  /** A query used twice within one transaction gives the same rows, and reads do not lock: modes may use it in place instead of staging it. */
  readonly stableReads: boolean;
}

/** Rows on their way out of a database, as something the engine can select from. */
export interface RelationPiece {
  /** A FROM item of the engine (`read_csv(…)`, `read_parquet(…)`, a table) whose columns have the names and engine types that `describe` told. */
  readonly relation: string;
  /** Rows in it, where known. */
  readonly rows?: number;
  /** Removes what it stands on. To be called once, when nothing selects from it any more. */
  release(): Promise<void>;
}

/** Rows of one database's own bulk format, for a database of the same kind: bytes that nobody in between reads. */
export interface NativeRows {
  /** Which of the database's formats it is. */
  readonly format: "text" | "binary";
  readonly pieces: AsyncIterable<Uint8Array>;
}

/** The columns that `load` fills, with the target's own types where the table is there. */
export interface LoadTarget {
  /** As SQL takes it: a table's or a stage's name. */
  readonly table: string;
  /** In the order of the query's columns. */
  readonly columns: readonly TargetColumn[];
}

/**
 * One connection to a database with at most one transaction. Statements run one after the other. Every error is a FlowError:
 * `query_invalid` (user; what the database says of a statement that cannot run, with its position where it tells one), `load_rejected` (user; a value or constraint that
 * does not fit), `database_unreachable` (external, retryable), `database_busy` (external, retryable: deadlock, serialization, lock timeout),
 * `database_auth_failed` (user), `permission_denied` (user); other codes as the connector has them. An aborted signal cancels the running statement and rejects with the signal's reason.
 */
export interface DatabaseSession {
  /** The same object for all databases of one kind. */
  readonly dialect: Dialect;
  /** Starts a transaction in which all reads see one state. */
  begin(): Promise<void>;
  commit(): Promise<void>;
  /** Also when no transaction is open. */
  rollback(): Promise<void>;
  /** Runs one statement; returns how many rows it inserted, updated or deleted (MySQL: really matched, not its doubled count). */
  run(sql: string, params?: readonly SqlValue[]): Promise<number>;
  /** A small result. Integers come as bigint, other numbers and times as text exactly as the database prints them, booleans as boolean where the database has them. */
  rows<Row = Record<string, SqlValue>>(sql: string, params?: readonly SqlValue[]): Promise<Row[]>;
  /** The columns that a query would have, with engine types, by preparing it on this database, without running it. */
  describe(query: string, params?: readonly SqlValue[]): Promise<Column[]>;
  /** The table's definition; undefined when there is none. */
  table(ref: TableRef): Promise<DatabaseTable | undefined>;
  /** Streams a query into the engine, piece by piece (about 8 MiB each); the next piece is made only when asked for. Works inside and outside a transaction. */
  read(
    query: string,
    params: readonly SqlValue[],
    engine: Engine,
    engineSession: Session,
  ): AsyncIterable<RelationPiece>;
  /** Writes the result of a query of the engine into a table or stage, in the current transaction, by the database's bulk way. Returns the rows. */
  load(into: LoadTarget, engineQuery: string, engineSession: Session): Promise<number>;
  /** The same between two databases of one kind without the engine; absent where there is no bulk format. */
  readonly native?: {
    /** Rows of the query in a format in which `into` takes them. */
    readOut(query: string, params: readonly SqlValue[], into: LoadTarget): Promise<NativeRows>;
    loadIn(into: LoadTarget, rows: NativeRows): Promise<number>;
  };
  /** Takes the lock of that name for as long as the session lives; false when another session has it. Databases of one writer (DuckDB files) may always say true. */
  lock(name: string): Promise<boolean>;
  /** Rolls back what is open, and lets the locks go. May be called twice. */
  close(): Promise<void>;
}

/** A database that declared pipelines read and write. Made by `Connector.openDatabase`; holds nothing open by itself. */
export interface Database {
  readonly kind: DatabaseKind;
  /** Equal for two connections that reach the same database as the same user: then a load is one statement there. Holds no credential. */
  readonly identity: string;
  /** Redacted, for messages. */
  readonly shown: string;
  readonly dialect: Dialect;
  /** Connects; throws when that fails. Aborting the signal ends what the session is doing, also later. */
  connect(signal: AbortSignal, options?: ConnectOptions): Promise<DatabaseSession>;
}

/** How a database is connected to. Servers need not care. */
export interface ConnectOptions {
  /** The session never writes: a file is opened without the right to write to it, beside others who read, and is not made where it is missing. */
  readonly readOnly?: boolean;
  /** A missing file, whose directory is there, is taken as an empty database, which vanishes with the session: for those who ask what a first run would do. */
  readonly missingAsEmpty?: boolean;
}

/** What a database needs from its host. */
export interface DatabaseContext {
  readonly scratchDir: string;
  readonly clock: Clock;
}
