import type { DeclaredColumn, DeclaredTable, Normalizer } from "../core/table_spec.ts";
import { declaredTable, type TableShape } from "./batch_schema.ts";
import { columnType, isTimeType } from "./column_type.ts";
import { isRecord, nearestName, snakeName } from "./key_names.ts";
import { keyName, type KeyPath, type Place, type ProblemList, wholePlace } from "./problem.ts";
import { restoreDataKeys } from "./schema_shape.ts";
import { validate } from "./validate.ts";

/** A table as it was written, not validated yet. */
export interface RawTable {
  readonly value: unknown;
  readonly place: Place;
  readonly path: KeyPath;
}

/** Names that flow gives to columns of its own in every table. */
const OWN_COLUMNS = ["_loaded_at", "_batch_id"];

/** The table that `table(…)` made: its own place is where it was called. */
export function moduleTable(value: unknown, around: RawTable): RawTable {
  if (!isRecord(value) || !isRecord(value["origin"])) return around;
  const { origin, ...table } = value;
  const { file, line, column } = origin as Readonly<Record<string, unknown>>;
  const place = wholePlace({
    file: String(file),
    ...(typeof line === "number" ? { line } : {}),
    ...(typeof column === "number" ? { column } : {}),
  }, "module");
  return { value: table, place, path: [] };
}

/**
 * Validates a table and adds everything that is wrong with it to the problems. `undefined` when its keys or their values are wrong; a table
 * whose columns contradict themselves is still good for checks of others against it. A column whose type is none has the type "".
 */
export function tableOf(raw: RawTable, problems: ProblemList): DeclaredTable | undefined {
  const { place } = raw;
  const value = place.spelling === "module" ? restoreDataKeys(declaredTable, raw.value) : raw.value;
  const locate = (path: KeyPath) => ({ place, path: [...raw.path, ...dataPath(path, place)] });
  const shape = validate(declaredTable, value, { problems, locate });
  if (shape === undefined) return undefined;
  return new TableChecks(shape, raw, problems).table();
}

/** Names of columns are the user's own data: messages show them as they are written, whatever the spelling of keys. */
function dataPath(path: KeyPath, place: Place): KeyPath {
  const [key, column, ...rest] = path;
  if (place.spelling === "toml" || key !== "columns" || typeof column !== "string") return path;
  return [key, snakeName(column), ...rest];
}

type ColumnShape = Exclude<NonNullable<TableShape["columns"]>[string], string>;

class TableChecks {
  readonly #shape: TableShape;
  readonly #raw: RawTable;
  readonly #problems: ProblemList;

  constructor(shape: TableShape, raw: RawTable, problems: ProblemList) {
    this.#shape = shape;
    this.#raw = raw;
    this.#problems = problems;
  }

  table(): DeclaredTable {
    const { schema, name, unique = [], merge_keys: mergeKeys = [] } = this.#shape;
    const shapes = Object.entries(this.#shape.columns ?? {}).map(([column, given]) =>
      [column, typeof given === "string" ? { type: given } : given] as const
    );
    const columns = shapes.map(([column, shape]) => this.#column(column, shape));
    this.#names(columns.map((column) => column.name));
    const marked = (key: "primary_key" | "natural_key") =>
      shapes.filter(([, shape]) => shape[key] === true).map(([column]) => column);
    const listed: readonly (readonly [KeyPath, readonly string[]])[] = [
      ...unique.map((group, index) => [["unique", index], group] as const),
      [["merge_keys"], mergeKeys],
    ];
    for (const [path, names] of listed) {
      addListProblems(names, columns, {
        problems: this.#problems,
        place: this.#raw.place,
        path: [...this.#raw.path, ...path],
      });
    }
    return {
      ref: { name, ...(schema === undefined ? {} : { schema }) },
      columns,
      primaryKey: marked("primary_key"),
      naturalKey: marked("natural_key"),
      uniqueGroups: unique,
      mergeKeys,
    };
  }

  #column(name: string, shape: ColumnShape): DeclaredColumn {
    const { type: text, primary_key: isPrimaryKey = false, nullable, normalize = [] } = shape;
    const found = columnType(text);
    if ("problem" in found) this.#addType(name, found.problem, found.hint);
    if (isPrimaryKey && nullable === true) {
      const key = (one: string) => keyName(one, this.#raw.place.spelling);
      const message = `a column of the primary key takes no NULL, and ${
        key("nullable")
      } contradicts`;
      this.#add(
        [name, "nullable"],
        message,
        `leave out ${key("nullable")} or ${key("primary_key")}`,
      );
    }
    if ("problem" in found) {
      return { name, type: "", nullable: nullable ?? false, normalizers: normalize };
    }
    normalize.forEach((normalizer, index) => {
      const later = normalize.slice(index + 1);
      this.#normalizer(name, found.type, normalizer, later, index);
    });
    return { name, ...found, nullable: nullable ?? false, normalizers: normalize };
  }

  #normalizer(
    name: string,
    type: string,
    normalizer: Normalizer,
    later: readonly Normalizer[],
    index: number,
  ): void {
    const shown = keyName(normalizer, this.#raw.place.spelling);
    const path = [name, "normalize", index];
    if (normalizer === "parse_timestamp") {
      if (isTimeType(type)) return;
      const message = `${shown} makes a time of a text, and the column is of type ${type}`;
      return this.#add(path, message, "declare it as timestamptz, timestamp or date");
    }
    // A text that becomes a time in the end may be cleaned before.
    const isText = type === "VARCHAR" || (isTimeType(type) && later.includes("parse_timestamp"));
    if (isText) return;
    const hint = isTimeType(type)
      ? `put ${
        keyName("parse_timestamp", this.#raw.place.spelling)
      } behind it, if the source gives texts`
      : "declare the column as text, or leave it out";
    this.#add(path, `${shown} applies to texts, and the column is of type ${type}`, hint);
  }

  #names(names: readonly string[]): void {
    const seen = new Map<string, string>();
    for (const name of names) {
      const plain = name.toLowerCase();
      const first = seen.get(plain);
      if (OWN_COLUMNS.includes(plain)) {
        this.#add(
          [name],
          "flow adds a column of this name itself",
          "leave it out, or rename yours",
        );
      } else if (first !== undefined) {
        const message = `differs from column '${first}' in upper and lower case only`;
        this.#add([name], message, "databases take them for the same name: rename one");
      }
      seen.set(plain, first ?? name);
    }
  }

  /** A column that is given as a text has its type where its name is. */
  #addType(name: string, message: string, hint: string | undefined): void {
    const isText = typeof this.#shape.columns?.[name] === "string";
    this.#add(isText ? [name] : [name, "type"], message, hint);
  }

  #add(path: KeyPath, message: string, hint?: string): void {
    const { place, path: above } = this.#raw;
    const [column, ...rest] = path;
    const shown = rest.length === 0 ? "" : `${keyName(String(rest[0]), place.spelling)}: `;
    this.#problems.add(
      // The message names the column itself, so the list shall not show the path again.
      { spelling: place.spelling, locate: () => place.locate([...above, "columns", ...path]) },
      [],
      `column '${column ?? ""}': ${shown}${message}`,
      hint,
    );
  }
}

/** Where a list of columns' names stands. */
export interface ListPlace {
  readonly problems: ProblemList;
  readonly place: Place;
  readonly path: KeyPath;
}

/** Adds a problem for each name that is no declared column, and for each that is given twice. Without declared columns any name may be one. */
export function addListProblems(
  names: readonly string[],
  columns: readonly DeclaredColumn[],
  { problems, place, path }: ListPlace,
): void {
  names.forEach((name, index) => {
    const at = [...path, index];
    if (names.indexOf(name) !== index) problems.add(place, at, `'${name}' is given twice`);
    addNameProblem(name, columns, { problems, place, path: at });
  });
}

/** Adds a problem when the name is no declared column. Without declared columns any name may be one. */
export function addNameProblem(
  name: string,
  columns: readonly DeclaredColumn[],
  { problems, place, path }: ListPlace,
): void {
  const known = columns.map((column) => column.name);
  if (known.length === 0 || known.includes(name)) return;
  const near = nearestName(name, known);
  problems.add(
    place,
    path,
    `the table declares no column '${name}'`,
    near === undefined ? `its columns: ${known.join(", ")}` : `did you mean ${near}?`,
  );
}
