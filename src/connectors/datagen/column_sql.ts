import { FlowError } from "../../core/error.ts";
import { quoteLiteral } from "../../core/schema.ts";
import type { ColumnOptions } from "./options.ts";

/** The particulars of all types side by side; the schema has checked that a column has those of its type only. */
interface Particulars {
  readonly type: string;
  readonly start?: number | string | Date | undefined;
  readonly step?: number | undefined;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly scale?: number | undefined;
  readonly probability?: number | undefined;
  readonly length?: number | undefined;
  readonly prefix?: string | undefined;
  readonly step_ms?: number | undefined;
  readonly jitter_ms?: number | undefined;
  readonly days?: number | undefined;
}

/** A column as SQL over the row number `i` (BIGINT). */
export interface GeneratedColumn {
  readonly name: string;
  readonly type: string;
  readonly expression: string;
}

const DEFAULT_START = "2024-01-01T00:00:00Z";
const DEFAULT_STEP_MS = 1000;
const MAX_INTEGER = 2_147_483_647;
const MAX_BIGINT = Number.MAX_SAFE_INTEGER;
/** 2^53: a hash's upper bits become a number from 0 to 1 (exclusive). */
const UNIT = "9007199254740992.0";

/**
 * The expression that makes a column. Every value follows from the seed, the column's name and the row number alone, so that any row can be
 * made again.
 *
 * @throws FlowError `definition_invalid` for bounds or times that make no sense.
 */
export function generateColumn(
  name: string,
  options: ColumnOptions,
  seed: number,
): GeneratedColumn {
  const hash = (use: string) => `hash(i, ${quoteLiteral(`${name}/${use}/${seed}`)})`;
  const unit = (use: string) => `((${hash(use)} >> 11)::DOUBLE / ${UNIT})`;
  const made = plainColumn(name, options, hash, unit);
  const rate = "null_rate" in options ? options.null_rate ?? 0 : 0;
  if (rate === 0) return { name, ...made };
  return {
    name,
    type: made.type,
    expression: `CASE WHEN ${unit("null")} >= ${rate} THEN ${made.expression} END`,
  };
}

function plainColumn(
  name: string,
  options: ColumnOptions,
  hash: (use: string) => string,
  unit: (use: string) => string,
): { type: string; expression: string } {
  if ("values" in options) return choice(options.values, hash("value"));
  const given: Particulars = options;
  switch (options.type) {
    case "sequence": {
      const { start = 0, step = 1 } = given;
      return { type: "BIGINT", expression: `(${start} + i * ${step})::BIGINT` };
    }
    case "integer":
    case "bigint": {
      const type = options.type === "integer" ? "INTEGER" : "BIGINT";
      const largest = options.type === "integer" ? MAX_INTEGER : MAX_BIGINT;
      const { min, max } = bounds(name, given, 0, largest);
      return { type, expression: `(${min} + ${below(hash("value"), max - min + 1)})::${type}` };
    }
    case "double": {
      const { min, max } = bounds(name, given, 0, 1);
      return {
        type: "DOUBLE",
        expression: `(${min}::DOUBLE + ${unit("value")} * (${max}::DOUBLE - ${min}::DOUBLE))`,
      };
    }
    case "decimal": {
      const { scale = 2 } = given;
      const { min, max } = bounds(name, given, 0, 1000);
      const [low, high] = [Math.ceil(min * 10 ** scale), Math.floor(max * 10 ** scale)];
      const units = `(${low} + ${below(hash("value"), high - low + 1)})::BIGINT`;
      const type = `DECIMAL(18,${scale})`;
      return { type, expression: `(${units}::VARCHAR || 'e-${scale}')::${type}` };
    }
    case "boolean": {
      const { probability = 0.5 } = given;
      return { type: "BOOLEAN", expression: `(${unit("value")} < ${probability})` };
    }
    case "text": {
      const { length = 12, prefix = "" } = given;
      const pieces = Array.from(
        { length: Math.ceil(length / 32) },
        (_piece, at) => `md5(${hash(`text ${at}`)}::VARCHAR)`,
      );
      return {
        type: "VARCHAR",
        expression: `${quoteLiteral(prefix)} || left(${pieces.join(" || ")}, ${length})`,
      };
    }
    case "uuid":
      return { type: "UUID", expression: `md5(${hash("value")}::VARCHAR)::UUID` };
    case "timestamp": {
      const { start = DEFAULT_START, step_ms = DEFAULT_STEP_MS, jitter_ms = 0 } = given;
      const jitter = jitter_ms === 0
        ? ""
        : ` + ${below(hash("jitter"), Math.round(jitter_ms * 1000) + 1)}`;
      const micros = `(${startMicros(name, start)} + i * ${Math.round(step_ms * 1000)}${jitter})`;
      return {
        type: "TIMESTAMP WITH TIME ZONE",
        expression: `make_timestamptz(${micros}::BIGINT)`,
      };
    }
    case "date": {
      const { start = DEFAULT_START, days = 365 } = given;
      const first = Math.floor(startMicros(name, start) / 86_400_000_000);
      return {
        type: "DATE",
        expression: `(DATE '1970-01-01' + (${first} + ${below(hash("value"), days)})::INTEGER)`,
      };
    }
  }
}

function below(hash: string, count: number): string {
  return `(${hash} % ${count}::UBIGINT)::BIGINT`;
}

function choice(values: readonly (string | number | boolean)[], hash: string) {
  const type = values.every((value) => typeof value === "boolean")
    ? "BOOLEAN"
    : values.every((value) => Number.isSafeInteger(value))
    ? "BIGINT"
    : values.every((value) => typeof value === "number")
    ? "DOUBLE"
    : "VARCHAR";
  const list = values.map((value) => quoteLiteral(String(value))).join(", ");
  return { type, expression: `([${list}]::${type}[])[1 + ${below(hash, values.length)}]` };
}

function bounds(
  name: string,
  given: Particulars,
  defaultMin: number,
  defaultMax: number,
): { min: number; max: number } {
  const min = given.min ?? Math.min(defaultMin, given.max ?? defaultMin);
  const max = given.max ?? Math.max(defaultMax, min);
  if (min <= max) return { min, max };
  throw new FlowError(`column '${name}': min = ${min} is more than max = ${max}`, {
    code: "definition_invalid",
    domain: "user",
    hint: "swap min and max",
    details: { column: name },
  });
}

function startMicros(name: string, start: number | string | Date): number {
  const ms = start instanceof Date ? start.getTime() : Date.parse(String(start));
  if (Number.isFinite(ms)) return ms * 1000;
  throw new FlowError(`column '${name}': start = '${String(start)}' is not a time`, {
    code: "definition_invalid",
    domain: "user",
    hint: "write it as 2024-01-01T00:00:00Z",
    details: { column: name },
  });
}
