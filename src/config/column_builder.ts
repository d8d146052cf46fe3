import type { Normalizer } from "../core/table_spec.ts";
import { Sealed } from "./plain_data.ts";

interface ColumnState {
  /** Text of the type, as `columnType` reads it. */
  readonly type: string;
  readonly isPrimaryKey?: boolean;
  readonly isNaturalKey?: boolean;
  readonly isNullable?: boolean;
  readonly normalizers: readonly Normalizer[];
}

/**
 * A column of a declared table, made by {@link bigint}, {@link text} and the like. It takes no NULL unless {@link nullable} says so. Each
 * method returns another column and leaves this one as it is.
 *
 * @example
 * ```ts
 * import { string, table, timestamptz } from "flow";
 *
 * const customers = table("analytics.customers", {
 *   email: string(256).primaryKey().trim().lower(),
 *   updated_at: timestamptz().nullable().parseTimestamp(),
 * });
 * ```
 */
export class ColumnDefinition extends Sealed {
  readonly #state: ColumnState;

  /** Made by the functions named after the types only. */
  constructor(state: ColumnState) {
    super(`column of type ${state.type}`, plainColumn(state));
    this.#state = state;
  }

  /** The column belongs to the table's primary key, in the order of the columns. It takes no NULL. */
  primaryKey(): ColumnDefinition {
    return this.#with({ isPrimaryKey: true });
  }

  /** The column belongs to the table's natural key, by which rows are merged even if the primary key is another. */
  naturalKey(): ColumnDefinition {
    return this.#with({ isNaturalKey: true });
  }

  /** The column takes NULL. */
  nullable(): ColumnDefinition {
    return this.#with({ isNullable: true });
  }

  /** Texts are written in lower case. */
  lower(): ColumnDefinition {
    return this.#normalized("lower");
  }

  /** Texts are written in upper case. */
  upper(): ColumnDefinition {
    return this.#normalized("upper");
  }

  /** White space around texts is taken off. */
  trim(): ColumnDefinition {
    return this.#normalized("trim");
  }

  /** An empty text becomes NULL. */
  emptyToNull(): ColumnDefinition {
    return this.#normalized("empty_to_null");
  }

  /** Texts of the source are read as ISO-8601 times, with or without a zone. What is no time fails the run. */
  parseTimestamp(): ColumnDefinition {
    return this.#normalized("parse_timestamp");
  }

  #normalized(normalizer: Normalizer): ColumnDefinition {
    return this.#with({ normalizers: [...this.#state.normalizers, normalizer] });
  }

  #with(change: Partial<ColumnState>): ColumnDefinition {
    return new ColumnDefinition({ ...this.#state, ...change });
  }
}

/** The column in the form of TOML's. */
function plainColumn(state: ColumnState): Readonly<Record<string, unknown>> {
  const { type, isPrimaryKey, isNaturalKey, isNullable, normalizers } = state;
  return {
    type,
    ...(isPrimaryKey === undefined ? {} : { primary_key: isPrimaryKey }),
    ...(isNaturalKey === undefined ? {} : { natural_key: isNaturalKey }),
    ...(isNullable === undefined ? {} : { nullable: isNullable }),
    ...(normalizers.length === 0 ? {} : { normalize: normalizers }),
  };
}

function column(type: string): ColumnDefinition {
  return new ColumnDefinition({ type, normalizers: [] });
}

/**
 * A column of whole numbers of 8 bytes.
 *
 * @example
 * ```ts
 * import { bigint, table } from "flow";
 *
 * const events = table("raw.events", { event_id: bigint().primaryKey() });
 * ```
 */
export function bigint(): ColumnDefinition {
  return column("bigint");
}

/**
 * A column of whole numbers of 4 bytes.
 *
 * @example
 * ```ts
 * import { integer, table } from "flow";
 *
 * const stock = table("stock", { pieces: integer() });
 * ```
 */
export function integer(): ColumnDefinition {
  return column("integer");
}

/**
 * A column of whole numbers of 2 bytes.
 *
 * @example
 * ```ts
 * import { smallint, table } from "flow";
 *
 * const ratings = table("ratings", { stars: smallint() });
 * ```
 */
export function smallint(): ColumnDefinition {
  return column("smallint");
}

/**
 * A column of texts of any length.
 *
 * @example
 * ```ts
 * import { table, text } from "flow";
 *
 * const notes = table("notes", { body: text().nullable() });
 * ```
 */
export function text(): ColumnDefinition {
  return column("text");
}

/**
 * A column of texts of at most `maxLength` characters.
 *
 * @example
 * ```ts
 * import { string, table } from "flow";
 *
 * const customers = table("customers", { email: string(256).primaryKey().lower() });
 * ```
 */
export function string(maxLength: number): ColumnDefinition {
  return column(`string(${maxLength})`);
}

/**
 * A column of true and false.
 *
 * @example
 * ```ts
 * import { boolean, table } from "flow";
 *
 * const customers = table("customers", { is_active: boolean() });
 * ```
 */
export function boolean(): ColumnDefinition {
  return column("boolean");
}

/**
 * A column of floating-point numbers of 8 bytes.
 *
 * @example
 * ```ts
 * import { double, table } from "flow";
 *
 * const readings = table("readings", { celsius: double() });
 * ```
 */
export function double(): ColumnDefinition {
  return column("double");
}

/**
 * A column of floating-point numbers of 4 bytes.
 *
 * @example
 * ```ts
 * import { real, table } from "flow";
 *
 * const readings = table("readings", { celsius: real() });
 * ```
 */
export function real(): ColumnDefinition {
  return column("real");
}

/**
 * A column of exact numbers: `precision` digits (1 to 38), `scale` of them after the point.
 *
 * @example
 * ```ts
 * import { decimal, table } from "flow";
 *
 * const orders = table("orders", { amount: decimal(18, 2) });
 * ```
 */
export function decimal(precision: number, scale = 0): ColumnDefinition {
  return column(`decimal(${precision}, ${scale})`);
}

/**
 * A column of dates.
 *
 * @example
 * ```ts
 * import { date, table } from "flow";
 *
 * const rollups = table("daily_rollups", { day: date().primaryKey() });
 * ```
 */
export function date(): ColumnDefinition {
  return column("date");
}

/**
 * A column of times of day.
 *
 * @example
 * ```ts
 * import { table, time } from "flow";
 *
 * const shops = table("shops", { opens_at: time() });
 * ```
 */
export function time(): ColumnDefinition {
  return column("time");
}

/**
 * A column of times without a zone.
 *
 * @example
 * ```ts
 * import { table, timestamp } from "flow";
 *
 * const visits = table("visits", { local_time: timestamp() });
 * ```
 */
export function timestamp(): ColumnDefinition {
  return column("timestamp");
}

/**
 * A column of points in time, which is what events need.
 *
 * @example
 * ```ts
 * import { table, timestamptz } from "flow";
 *
 * const events = table("events", { received_at: timestamptz() });
 * ```
 */
export function timestamptz(): ColumnDefinition {
  return column("timestamptz");
}

/**
 * A column of UUIDs.
 *
 * @example
 * ```ts
 * import { table, uuid } from "flow";
 *
 * const sessions = table("sessions", { session_id: uuid().primaryKey() });
 * ```
 */
export function uuid(): ColumnDefinition {
  return column("uuid");
}

/**
 * A column of JSON values.
 *
 * @example
 * ```ts
 * import { json, table } from "flow";
 *
 * const events = table("events", { payload: json().nullable() });
 * ```
 */
export function json(): ColumnDefinition {
  return column("json");
}

/**
 * A column of bytes.
 *
 * @example
 * ```ts
 * import { bytes, table } from "flow";
 *
 * const files = table("files", { content: bytes() });
 * ```
 */
export function bytes(): ColumnDefinition {
  return column("bytes");
}
