import { missingFlag } from "./host.ts";
import { isRecord } from "./key_names.ts";
import type { KeyPath } from "./problem.ts";

/** How `${VAR}` is filled in. */
export interface InterpolateOptions {
  /** The value of an environment variable; may throw `permission_denied`. */
  readonly env: (name: string) => string | undefined;
  /** Who uses the values, for messages: `connection 'warehouse'`, `target`. */
  readonly user: string;
  readonly report: (path: KeyPath, message: string, hint: string) => void;
}

/**
 * Fills in `${VAR}` in every text of an options table, at any depth; `$${` stands for a literal `${`. What cannot be filled in is
 * reported, and left as it was. Never puts a value into a message.
 */
export function interpolate(
  value: unknown,
  options: InterpolateOptions,
  path: KeyPath = [],
): unknown {
  if (typeof value === "string") return fillIn(value, options, path);
  if (Array.isArray(value)) {
    return value.map((item, index) => interpolate(item, options, [...path, index]));
  }
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, interpolate(item, options, [...path, key])]),
  );
}

function fillIn(text: string, options: InterpolateOptions, path: KeyPath): string {
  return text.replaceAll(/\$\$\{|\$\{([^}]*)(\}?)/g, (all, name?: string, end?: string) => {
    if (name === undefined) return "${";
    if (end === "" || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      options.report(
        path,
        "`${` is not followed by the name of an environment variable and `}`",
        "write `$${` where the characters `${` themselves are meant",
      );
      return all;
    }
    try {
      const found = options.env(name);
      if (found !== undefined) return found;
      options.report(
        path,
        `the environment variable ${name}, used by ${options.user}, is not set`,
        `set ${name}, or write the value here`,
      );
    } catch (error) {
      const flag = missingFlag(error);
      if (flag === undefined) throw error;
      options.report(
        path,
        `the environment variable ${name}, used by ${options.user}, may not be read`,
        `start flow with ${flag}`,
      );
    }
    return all;
  });
}

/** True when a text is only a reference such as `${PASSWORD}`, not a literal. */
export function isReference(text: string): boolean {
  return /^\$\{[A-Za-z_][A-Za-z0-9_]*\}$/.test(text);
}
