import { snakeName } from "./key_names.ts";

const PLAIN = Symbol.for("flow.plain_data");
const inspectSymbol = Symbol.for("Deno.customInspect");
const nodeInspectSymbol = Symbol.for("nodejs.util.inspect.custom");

/**
 * Something that a builder call made: its content may hold passwords, so printing, inspecting and serialising it show only a label. Only
 * {@link plainData} gets at the content, to hand it to the engine.
 */
export abstract class Sealed {
  readonly #content: Readonly<Record<string, unknown>>;
  readonly #label: string;

  constructor(label: string, content: Readonly<Record<string, unknown>>) {
    this.#label = label;
    this.#content = content;
  }

  toString(): string {
    return this.#label;
  }

  toJSON(): string {
    return this.#label;
  }

  [inspectSymbol](): string {
    return this.#label;
  }

  [nodeInspectSymbol](): string {
    return this.#label;
  }

  [PLAIN](): Readonly<Record<string, unknown>> {
    return this.#content;
  }
}

/** The content of a {@link Sealed}, also of one that another copy of this module made; `undefined` for other values. */
export function sealedContent(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== "object" || value === null || !(PLAIN in value)) return undefined;
  const open = value[PLAIN];
  return typeof open === "function" ? open.call(value) as Record<string, unknown> : undefined;
}

/** Deeper values are taken for a circle. */
const MAX_DEPTH = 20;

/**
 * A builder's argument as plain data that can cross isolates: keys in TOML's spelling, sealed things opened, `undefined` left out. What
 * is no data (functions, class instances) becomes a text that names it, so that validation can complain about it.
 */
export function plainData(value: unknown, depth = 0): unknown {
  if (depth > MAX_DEPTH) return "[nested too deeply]";
  const content = sealedContent(value);
  if (content !== undefined) return content;
  if (Array.isArray(value)) return value.map((item) => plainData(item, depth + 1));
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
    case "bigint":
      return value;
    case "object":
      break;
    default:
      return `[${typeof value}]`;
  }
  if (value === null || value instanceof Date) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return `[${value.constructor.name || "object"}]`;
  }
  return plainRecord(value, depth);
}

/** {@link plainData} of an object's own keys. */
export function plainRecord(value: object, depth = 0): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== undefined)
      .map(([key, item]) => [snakeName(key), plainData(item, depth + 1)]),
  );
}
