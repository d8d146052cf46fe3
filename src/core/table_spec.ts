import type { TableRef } from "./connector.ts";
import type { Column } from "./schema.ts";

/** What is done to a column's values in SQL before they are written, in the order given. */
export type Normalizer = "lower" | "upper" | "trim" | "empty_to_null" | "parse_timestamp";

/** One column of a declared table. */
export interface DeclaredColumn {
  readonly name: string;
  /** The engine's type text: `BIGINT`, `VARCHAR`, `DECIMAL(18,2)`, `TIMESTAMP WITH TIME ZONE`, `JSON`, `BLOB`, `UUID` … */
  readonly type: string;
  /** Longest text in characters (`string(256)`). */
  readonly maxLength?: number;
  /** As {@link Column} has it; never declared, but found in the table or in what the query gives. */
  readonly ownType?: Column["ownType"];
  readonly nullable: boolean;
  readonly normalizers: readonly Normalizer[];
}

/** A table as a definition declares it. Without columns it is what the target has, or else what the query gives. */
export interface DeclaredTable {
  readonly ref: TableRef;
  readonly columns: readonly DeclaredColumn[];
  /** Names of the primary key's columns, in order; empty without one. */
  readonly primaryKey: readonly string[];
  /** Columns marked `naturalKey()`; empty without one. */
  readonly naturalKey: readonly string[];
  /** Further sets of columns that are unique together. */
  readonly uniqueGroups: readonly (readonly string[])[];
  /** Keys declared for merging (`mergeKeys`); empty without. */
  readonly mergeKeys: readonly string[];
}
