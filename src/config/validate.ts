import * as v from "valibot";
import { isRecord, nearestName } from "./key_names.ts";
import { keyName, type KeyPath, type Place, type ProblemList } from "./problem.ts";
import {
  choicesOf,
  descriptionOf,
  findMisfits,
  isSecretSchema,
  keysOf,
  objectAlternatives,
  schemaAt,
} from "./schema_shape.ts";

/** Where a problem at a path of the validated value is to be shown. */
export interface PlacedPath {
  readonly place: Place;
  readonly path: KeyPath;
}

/** How a value is validated and its problems are told. */
export interface ValidateOptions {
  readonly problems: ProblemList;
  readonly locate: (path: KeyPath) => PlacedPath;
  /** The value as its author wrote it, before `${VAR}` was filled in: only this is ever shown. Default: the value itself. */
  readonly shown?: unknown;
}

/**
 * Validates by a valibot schema. Returns the output, or `undefined` after adding every problem to the list: unknown keys with the nearest
 * valid name, missing keys, wrong values with what was expected. Values of secrets are never shown.
 */
export function validate<S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  options: ValidateOptions,
): v.InferOutput<S> | undefined {
  const before = options.problems.count;
  const lists: KeyPath[] = [];
  findMisfits(schema, value, {
    unknownKey(path, valid) {
      const { place, path: shownPath } = options.locate(path);
      addUnknownKey(options.problems, place, shownPath, valid);
    },
    list(path) {
      lists.push(path);
      const { place, path: shownPath } = options.locate(path);
      const expected = tableWords(schemaAt(schema, path), place.spelling);
      options.problems.add(place, shownPath, `expected ${expected}, got a list`);
    },
  });
  const isInside = (path: KeyPath) =>
    lists.some((list) => list.every((segment, index) => segment === path[index]));
  const result = v.safeParse(schema, value);
  for (const issue of result.issues ?? []) {
    if (isUnknownKey(issue) || isInside(pathOf(issue))) continue;
    for (const near of nearestIssues(schema, issue)) {
      if (!isUnknownKey(near)) addIssue(schema, near, value, options);
      else {
        const { place, path } = options.locate(pathOf(near));
        addUnknownKey(options.problems, place, path, near.validKeys ?? []);
      }
    }
  }
  return result.success && options.problems.count === before ? result.output : undefined;
}

/** The keys that are valid by themselves, for checks of a definition that has problems elsewhere. */
export function validPart<E extends v.ObjectEntries>(
  entries: E,
  value: Readonly<Record<string, unknown>>,
): Partial<v.InferOutput<v.StrictObjectSchema<E, undefined>>> {
  return Object.fromEntries(
    Object.entries(entries).flatMap(([key, schema]) => {
      const result = v.safeParse(schema, value[key]);
      return result.success && value[key] !== undefined ? [[key, result.output]] : [];
    }),
  ) as Partial<v.InferOutput<v.StrictObjectSchema<E, undefined>>>;
}

/** Adds the problem of a key that is not known; `valid` are the keys that are, in TOML's spelling. */
export function addUnknownKey(
  problems: ProblemList,
  place: Place,
  path: KeyPath,
  valid: readonly string[],
): void {
  const key = String(path.at(-1));
  const shownKey = keyName(key, place.spelling);
  const names = valid.map((name) => keyName(name, place.spelling));
  const near = nearestName(shownKey, names);
  problems.add(
    place,
    path,
    "unknown key",
    near === undefined ? `valid keys: ${names.toSorted().join(", ")}` : `did you mean ${near}?`,
  );
}

/** An issue, and the keys that are valid beside the one that it is about. */
type NearIssue = v.BaseIssue<unknown> & { readonly validKeys?: readonly string[] | undefined };

/**
 * For a table that fits none of several alternatives: the issues with the one that it comes nearest to, which is the one whose fixed
 * texts (`type = "double"`) it has. For everything else the issue itself.
 */
function nearestIssues(
  schema: v.GenericSchema,
  issue: v.BaseIssue<unknown>,
): readonly NearIssue[] {
  const { input } = issue;
  const at = schemaAt(schema, pathOf(issue));
  if (issue.type !== "union" || at === undefined || !isRecord(input)) return [issue];
  const attempts = objectAlternatives(at).map((alternative): readonly NearIssue[] =>
    (v.safeParse(alternative, input).issues ?? []).map((one) => ({
      ...one,
      ...(one.path?.length === 1 ? { validKeys: keysOf(alternative) } : {}),
    }))
  ).filter((issues) => issues.length > 0);
  const distance = (issues: readonly v.BaseIssue<unknown>[]) =>
    issues.reduce((sum, one) => sum + (isIdentity(one) ? 100 : 1), 0);
  const [nearest] = attempts.toSorted((a, b) => distance(a) - distance(b));
  if (nearest === undefined) return [issue];
  const placed = (one: NearIssue): NearIssue => ({
    ...one,
    path: [...(issue.path ?? []), ...(one.path ?? [])] as NonNullable<typeof issue.path>,
  });
  const identity = nearest.find(isIdentity);
  if (identity === undefined) return nearest.map(placed);
  // It is none of them: what could tell them apart is wrong or missing.
  const key = pathOf(identity).join(".");
  const expected = attempts.flat().filter((one) => isIdentity(one) && pathOf(one).join(".") === key)
    .map((one) => one.expected?.replace(/^\((.*)\)$/, "$1"));
  return [placed({ ...identity, expected: [...new Set(expected)].join(" | ") })];
}

/** True for issues that say that a table is another alternative's. */
function isIdentity(issue: v.BaseIssue<unknown>): boolean {
  return issue.type === "literal" || issue.type === "picklist" || isMissing(issue);
}

function isUnknownKey(issue: v.BaseIssue<unknown>): boolean {
  return issue.type === "strict_object" && issue.expected === "never";
}

function pathOf(issue: v.BaseIssue<unknown>): KeyPath {
  return (issue.path ?? []).map((item) =>
    typeof item.key === "number" ? item.key : String(item.key)
  );
}

function addIssue(
  schema: v.GenericSchema,
  issue: v.BaseIssue<unknown>,
  value: unknown,
  options: ValidateOptions,
): void {
  const path = pathOf(issue);
  const at = schemaAt(schema, path);
  const { place, path: shownPath } = options.locate(path);
  const spelling = place.spelling;
  if (isMissing(issue)) {
    const about = at === undefined ? undefined : descriptionOf(at);
    options.problems.add(
      place,
      shownPath,
      `required, but not given${about === undefined ? "" : ` (${about})`}`,
    );
    return;
  }
  const shown = "shown" in options ? options.shown : value;
  const isShown = mayShow(schema, path);
  const got = isShown ? showValue(valueAt(shown, path), spelling) : "***";
  const choices = at === undefined ? undefined : choicesOf(at);
  if (at !== undefined && choices !== undefined) {
    const input = valueAt(shown, path);
    const near = typeof input === "string" ? nearestName(input, choices) : undefined;
    const expected = [
      ...choices.map((choice) => JSON.stringify(choice)),
      ...(objectAlternatives(at).length > 0 ? [spelling === "toml" ? "a table" : "an object"] : []),
    ];
    options.problems.add(
      place,
      shownPath,
      `expected ${expected.join(" or ")}, got ${got}`,
      near === undefined ? undefined : `did you mean "${near}"?`,
    );
    return;
  }
  if (DEFAULT_MESSAGE.test(issue.message)) {
    const expected = expectation(issue, at, spelling);
    options.problems.add(place, shownPath, `expected ${expected}, got ${got}`);
    return;
  }
  // The author of the schema gave a message of its own. It may quote the value, even one that was filled in.
  const quotes = quotesInput(issue);
  if (!quotes) options.problems.add(place, shownPath, `${issue.message}, got ${got}`);
  else if (isShown && issue.input === valueAt(shown, path)) {
    options.problems.add(place, shownPath, issue.message);
  } else options.problems.add(place, shownPath, `expected a valid value, got ${got}`);
}

function isMissing(issue: v.BaseIssue<unknown>): boolean {
  return issue.received === "undefined" && issue.input === undefined;
}

const DEFAULT_MESSAGE = /^Invalid [a-z ]+: /;

function quotesInput({ input, message }: v.BaseIssue<unknown>): boolean {
  return (typeof input === "string" || typeof input === "number") && message.includes(`${input}`);
}

function expectation(
  issue: v.BaseIssue<unknown>,
  at: v.GenericSchema | undefined,
  spelling: Place["spelling"],
): string {
  switch (issue.type) {
    case "integer":
    case "safe_integer":
      return "a whole number";
    case "non_empty":
      return "something that is not empty";
    case "length":
    case "max_length":
    case "min_length":
      return `a length of ${issue.expected ?? "another size"}`;
    case "regex":
      return `a text that matches ${issue.expected ?? "the pattern"}`;
  }
  const words: Readonly<Record<string, string>> = {
    string: "a text in quotes",
    number: "a number",
    boolean: "true or false",
    Array: "a list",
    Object: tableWords(at, spelling),
  };
  if (issue.expected === null) return `a valid value (${issue.type.replaceAll("_", " ")})`;
  return issue.expected.replaceAll(/"[^"]*"|\b[A-Za-z]+\b/g, (word) => words[word] ?? word)
    .replace(/^\((.*)\)$/, "$1").replaceAll(" | ", " or ");
}

function tableWords(at: v.GenericSchema | undefined, spelling: Place["spelling"]): string {
  const table = spelling === "toml" ? "a table" : "an object";
  const keys = at === undefined ? undefined : keysOf(at);
  return keys === undefined
    ? table
    : `${table} with ${keys.map((key) => keyName(key, spelling)).join(", ")}`;
}

const TELLING_NAME =
  /pass|secret|token|credential|private|jaas|pem|cert|auth|dsn|url|(^|(?<!^primary|^natural)_)key$|access_key|account_key/i;

/** False for values that are secrets by their schema, or may be by the name of their key. */
export function mayShow(schema: v.GenericSchema, path: KeyPath): boolean {
  return path.every((segment, index) => {
    if (typeof segment === "number") return true;
    const at = schemaAt(schema, path.slice(0, index + 1));
    return !TELLING_NAME.test(segment) && at !== undefined && !isSecretSchema(at);
  });
}

function valueAt(value: unknown, path: KeyPath): unknown {
  let at = value;
  for (const segment of path) {
    if (typeof segment === "number") at = Array.isArray(at) ? at[segment] : undefined;
    else at = isRecord(at) && Object.hasOwn(at, segment) ? at[segment] : undefined;
  }
  return at;
}

/** A value in a few words: texts and numbers themselves, lists and tables only by their kind. */
export function showValue(value: unknown, spelling: Place["spelling"]): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  }
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (isRecord(value)) return spelling === "toml" ? "a table" : "an object";
  if (value instanceof Date) return "a date";
  if (typeof value === "function") return "a function";
  return String(value);
}
