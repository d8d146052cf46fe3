import type { LoadMode } from "../core/batch_spec.ts";
import type { DeclaredTable } from "../core/table_spec.ts";
import type { LoadShape } from "./batch_schema.ts";
import type { RawTarget } from "./batch_target.ts";
import { isTimeType } from "./column_type.ts";
import { addListProblems, addNameProblem } from "./declared_table.ts";
import { keyName, type KeyPath, type ProblemList } from "./problem.ts";
import { resolveKeys } from "./resolve_keys.ts";
import { findParameters } from "./sql_parameters.ts";

/** The name of the parameter that stands for the highest value read so far. */
export const WATERMARK = "watermark";

/** The modes that each key means something to. The others are checked by themselves. */
const MODES_OF: { readonly [Key in keyof LoadShape]?: readonly LoadMode[] } = {
  keys: ["merge", "scd2", "incremental"],
  compare_columns: ["scd2"],
  update_columns: ["merge", "incremental"],
  event_timestamp_column: ["scd2"],
  ttl_seconds: ["scd2"],
  allow_empty_source: ["merge", "scd2"],
  tie_break_column: ["incremental"],
  overlap_seconds: ["incremental"],
};

/** Columns that flow adds to tables of mode scd2. */
const SCD2_COLUMNS = ["valid_from", "valid_to", "is_current", "row_hash"];

/** What can only be seen by looking at several keys of one target, and at its table. */
export class TargetChecks {
  readonly #raw: RawTarget;
  readonly #load: LoadShape;
  readonly #mode: LoadMode;
  readonly #table: DeclaredTable | undefined;
  readonly #sourceKind: string | undefined;
  readonly #problems: ProblemList;

  /** Without a table (it has problems of its own) what depends on it is passed over. */
  constructor(
    raw: RawTarget,
    table: DeclaredTable | undefined,
    sourceKind: string | undefined,
    problems: ProblemList,
  ) {
    this.#raw = raw;
    this.#load = raw.load;
    this.#mode = raw.load.mode ?? "append";
    this.#table = table;
    this.#sourceKind = sourceKind;
    this.#problems = problems;
  }

  /** Adds everything that is wrong to the problems. */
  check(): void {
    this.#columns();
    if (this.#raw.isModeUnknown) return;
    this.#modes();
    this.#handleDeletes();
    this.#watermark();
    this.#keys();
    if (this.#mode === "scd2") this.#versions();
  }

  #modes(): void {
    for (const [key, modes] of Object.entries(MODES_OF)) {
      const value = this.#load[key as keyof LoadShape];
      if (value === undefined || modes.includes(this.#mode)) continue;
      const which = modes.map((mode) => `"${mode}"`).join(" or ");
      this.#add(
        this.#at(key),
        `only applies when mode = ${which}; the mode is "${this.#mode}"`,
        `set mode = ${modes.length === 1 ? which : "one of them"}, or leave ${this.#key(key)} out`,
      );
    }
  }

  #handleDeletes(): void {
    const given = this.#load.handle_deletes;
    if (given === undefined || given === "none") return;
    const path = this.#at("handle_deletes");
    const takes = { merge: "hard", scd2: "soft" } as const;
    if (this.#mode !== "merge" && this.#mode !== "scd2") {
      const message = `"${given}" is refused with mode = "${this.#mode}": ` +
        "append, truncate and incremental do not compare the source with the target";
      this.#add(path, message, 'mode = "merge" takes "hard", mode = "scd2" takes "soft"');
    } else if (given !== takes[this.#mode]) {
      const message = given === "hard"
        ? '"hard" only applies when mode = "merge"; scd2 keeps history and closes versions'
        : '"soft" only applies when mode = "scd2"; merge has no versions to close';
      this.#add(path, message, `mode = "${this.#mode}" takes "${takes[this.#mode]}"`);
    }
  }

  #watermark(): void {
    const { incremental_column: column, overlap_seconds: overlap = 0 } = this.#load;
    const { query } = this.#raw;
    const isNamed = query !== undefined &&
      findParameters(query, this.#sourceKind).some(({ name }) => name === WATERMARK);
    const key = this.#key("incremental_column");
    if (column === undefined && this.#mode === "incremental") {
      const message = `mode = "incremental" needs ${key}: the column whose highest value is kept`;
      this.#add(
        [...this.#raw.path, "mode"],
        message,
        `give ${key}, a column that rises with every new row`,
      );
    } else if (column === undefined && isNamed) {
      const message = `the query uses $watermark, and nothing says of which column it is`;
      const hint = `give ${key}, a column of the query that rises with every new row`;
      this.#add(this.#raw.path.length === 0 ? ["source"] : this.#raw.path, message, hint);
    }
    const isInherited = this.#raw.inherited.includes("incremental_column");
    if (column !== undefined && !isNamed && this.#mode !== "incremental" && !isInherited) {
      const message = 'only applies when mode = "incremental", or the query uses $watermark';
      this.#add(this.#at("incremental_column"), message, "nothing would ever read the watermark");
    }
    const type = this.#typeOf(column);
    if (overlap > 0 && this.#mode === "incremental" && type !== undefined && !isTimeType(type)) {
      const message = `counts seconds, and ${key} '${column ?? ""}' is of type ${type}`;
      this.#add(this.#at("overlap_seconds"), message, "it needs a column of times");
    }
  }

  #keys(): void {
    const table = this.#table;
    const { keys = [], tie_break_column: tieBreak, overlap_seconds: overlap = 0 } = this.#load;
    if (table === undefined) return;
    const hasKeys = resolveKeys({ keys, table }).keys.length > 0;
    const isModule = this.#raw.place.spelling === "module";
    const ways = isModule
      ? 'give keys: ["…"], or mark columns of the table with .primaryKey() or .naturalKey()'
      : 'give keys = ["…"], or mark columns of the table with primary_key or natural_key';
    const path = [...this.#raw.path, "mode"];
    if (hasKeys) return this.#updates(resolveKeys({ keys, table }).keys);
    if (this.#mode === "merge" || this.#mode === "scd2") {
      const message = `mode = "${this.#mode}" needs keys, and the table declares none`;
      return this.#add(path, message, ways);
    }
    if (this.#mode !== "incremental") return;
    const tieKey = this.#key("tie_break_column");
    if (tieBreak === undefined) {
      this.#add(
        path,
        `mode = "incremental" needs keys or ${tieKey}: without them, rows that come later with a ` +
          "value equal to the watermark would be lost or written twice",
        `${ways}; or give ${tieKey}, a column that rises strictly among rows of an equal watermark`,
      );
    } else if (overlap > 0) {
      const message = "needs keys: without them, rows that are read again would be written twice";
      this.#add(this.#at("overlap_seconds"), message, ways);
    }
  }

  #updates(keys: readonly string[]): void {
    (this.#load.update_columns ?? []).forEach((column, index) => {
      if (!keys.includes(column) || !MODES_OF.update_columns?.includes(this.#mode)) return;
      const path = [...this.#at("update_columns"), index];
      this.#add(path, `'${column}' is a key, and keys are never updated`);
    });
  }

  /** Names of columns against the declared ones. */
  #columns(): void {
    const declared = this.#table?.columns ?? [];
    const place = { problems: this.#problems, place: this.#raw.place };
    for (const key of ["keys", "compare_columns", "update_columns"] as const) {
      addListProblems(this.#load[key] ?? [], declared, { ...place, path: this.#at(key) });
    }
    for (
      const key of ["event_timestamp_column", "incremental_column", "tie_break_column"] as const
    ) {
      const name = this.#load[key];
      if (name !== undefined) addNameProblem(name, declared, { ...place, path: this.#at(key) });
    }
  }

  #versions(): void {
    const column = this.#load.event_timestamp_column;
    const type = this.#typeOf(column);
    if (type !== undefined && !isTimeType(type)) {
      const message = `column '${column ?? ""}' is of type ${type}, and valid_from needs a time`;
      this.#add(this.#at("event_timestamp_column"), message, "declare it as timestamptz");
    }
    const { table } = this.#raw;
    for (const { name } of this.#table?.columns ?? []) {
      if (table === undefined || !SCD2_COLUMNS.includes(name.toLowerCase())) continue;
      const { place, path } = table;
      this.#problems.add(
        { ...place, locate: () => place.locate([...path, "columns", name]) },
        [],
        `column '${name}': flow adds a column of this name itself under mode scd2`,
        "leave it out, or rename yours",
      );
    }
  }

  #typeOf(name: string | undefined): string | undefined {
    const type = this.#table?.columns.find((column) => column.name === name)?.type;
    return type === "" ? undefined : type;
  }

  #key(name: string): string {
    return keyName(name, this.#raw.place.spelling);
  }

  /** Where a key stands: in the target's block, or at the pipeline's top when it is said there for all. */
  #at(key: string): KeyPath {
    return this.#raw.inherited.includes(key) ? [key] : [...this.#raw.path, key];
  }

  #add(path: KeyPath, message: string, hint?: string): void {
    this.#problems.add(this.#raw.place, path, message, hint);
  }
}
