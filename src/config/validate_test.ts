import assert from "node:assert/strict";
import * as v from "valibot";
import { FlowError } from "../core/error.ts";
import { ProblemList, wholePlace } from "./problem.ts";
import { validate } from "./validate.ts";

/** Problems of a value, without the file's name. */
function problemsOf(schema: v.GenericSchema, value: unknown, shown: unknown = value): string[] {
  const problems = new ProblemList();
  const place = wholePlace({ file: "f" }, "toml");
  validate(schema, value, { problems, locate: (path) => ({ place, path }), shown });
  try {
    problems.throwIfAny();
    return [];
  } catch (error) {
    assert.ok(error instanceof FlowError);
    if (problems.count === 1) {
      const text = error.message.slice("f: ".length);
      return [error.hint === undefined ? text : `${text} (${error.hint})`];
    }
    return error.message.split("\n").slice(1).map((line) => line.trim().slice("f: ".length));
  }
}

const column = v.union([
  v.pipe(v.picklist(["double", "boolean"]), v.transform((type) => ({ type }))),
  v.strictObject({
    type: v.literal("double"),
    min: v.optional(v.number()),
    rate: v.optional(v.number()),
  }),
  v.strictObject({ type: v.literal("boolean"), rate: v.optional(v.number()) }),
  v.strictObject({ values: v.array(v.string()), rate: v.optional(v.number()) }),
]);
const columns = v.strictObject({ columns: v.record(v.string(), column) });

Deno.test("a table that fits no alternative is told what is wrong with the one that it means", () => {
  const told = (value: unknown) => problemsOf(columns, { columns: { a: value } });
  assert.deepEqual(told({ type: "double", min: "x" }), [
    'columns.a.min: expected a number, got "x"',
  ]);
  assert.deepEqual(told({ values: [1] }), [
    "columns.a.values[0]: expected a text in quotes, got 1",
  ]);
  assert.deepEqual(told({ type: "double", mni: 1 }), [
    "columns.a.mni: unknown key (did you mean min?)",
  ]);
  assert.deepEqual(told({ type: "boolean", min: 1 }), [
    "columns.a.min: unknown key (valid keys: rate, type)",
  ]);
  assert.deepEqual(told({ type: "bool" }), [
    'columns.a.type: expected "double" or "boolean", got "bool"',
  ]);
  assert.deepEqual(told("doubel"), [
    'columns.a: expected "double" or "boolean" or a table, got "doubel" (did you mean "double"?)',
  ]);
  assert.deepEqual(told({ rate: 1 }), ["columns.a.type: required, but not given"]);
  assert.deepEqual(told({ type: "boolean", rate: 1 }), []);
});

Deno.test("what a schema's author says is told, but never a value that was filled in", () => {
  const schema = v.strictObject({
    fixed: v.optional(v.pipe(v.string(), v.minLength(9, "must be long"))),
    quoting: v.optional(
      v.pipe(v.string(), v.minLength(9, (issue) => `'${issue.input}' is too short`)),
    ),
  });
  assert.deepEqual(problemsOf(schema, { fixed: "abc", quoting: "def" }), [
    'fixed: must be long, got "abc"',
    "quoting: 'def' is too short",
  ]);
  assert.deepEqual(
    problemsOf(schema, { fixed: "abc", quoting: "def" }, { fixed: "${A}", quoting: "${B}" }),
    ['fixed: must be long, got "${A}"', 'quoting: expected a valid value, got "${B}"'],
  );
});

Deno.test("values are told in a few words", () => {
  const schema = v.strictObject({
    number: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
    text: v.optional(v.union([v.string(), v.array(v.string())])),
    list: v.optional(v.pipe(v.array(v.string()), v.nonEmpty())),
    flag: v.optional(v.boolean()),
    api_token: v.optional(v.number()),
  });
  assert.deepEqual(problemsOf(schema, { number: 1.5, text: 7, list: [], flag: "yes" }), [
    "number: expected a whole number, got 1.5",
    "text: expected a text in quotes or a list, got 7",
    "list: expected something that is not empty, got an empty list",
    'flag: expected true or false, got "yes"',
  ]);
  assert.deepEqual(
    problemsOf(schema, { flag: "x".repeat(100), text: { a: 1 }, list: new Date(0) }),
    [
      "text: expected a text in quotes or a list, got a table",
      "list: expected a list, got a date",
      `flag: expected true or false, got "${"x".repeat(60)}…"`,
    ],
  );
  // The key's name tells that it is a secret, even where the schema does not.
  assert.deepEqual(problemsOf(schema, { api_token: "x" }), [
    "api_token: expected a number, got ***",
  ]);
});
