import assert from "node:assert/strict";
import fc from "fast-check";
import { withDecoding } from "./decoder_fixture_test.ts";
import { createJsonDecoder } from "./json_decoder.ts";

/** A number as its text. */
class NumberText {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

type Value = null | boolean | string | NumberText | Value[] | { [key: string]: Value };

const KEYS = ["a", "b", "c", "a.b", 'q"', "it's", "é😀", "$", "*", "/", "~0", " ", "\\"];

const numberText = fc.oneof(
  fc.integer().map(String),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => JSON.stringify(n)),
  fc.tuple(fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }), fc.stringMatching(/^[0-9]{1,20}$/))
    .map(
      ([integer, fraction]) => `${integer}.${fraction}`,
    ),
  fc.tuple(fc.integer({ min: -99, max: 99 }), fc.integer({ min: -340, max: 340 })).map(
    ([digits, exponent]) => `${digits}e${exponent}`,
  ),
  fc.constantFrom("-0", "-0.0", "1.50", "0e5", "1E+2", "9007199254740993", "0.1000000000000000055"),
).map((text) => new NumberText(text));

const text = fc.oneof(
  fc.string({ unit: "binary" }).filter((s) => s.isWellFormed()),
  fc.constantFrom(
    "",
    "null",
    "1",
    "true",
    "[1,]",
    ":NaN",
    ":1e5",
    '",}',
    "\\",
    "\0",
    "2026-01-01T00:00:00Z",
  ),
);

/** Values of one kind mostly, as they are in life; of any kind now and then. */
const { value } = fc.letrec<{ value: Value; object: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    numberText,
    numberText,
    text,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.array(numberText, { maxLength: 3 }),
    tie("object"),
  ),
  object: fc.dictionary(fc.constantFrom(...KEYS), tie("value"), { maxKeys: 4 }),
}));

const row = fc.record({
  members: fc.dictionary(fc.constantFrom(...KEYS), value, { maxKeys: 5 }),
  space: fc.constantFrom("", "", " "),
  escaped: fc.boolean(),
});

type Row = { members: { [key: string]: Value }; space: string; escaped: boolean };

function write(value: Value, space: string, escaped: boolean): string {
  if (value instanceof NumberText) return value.text;
  if (typeof value === "string") return writeString(value, escaped);
  if (Array.isArray(value)) {
    return `[${value.map((item) => write(item, space, escaped)).join(`,${space}`)}]`;
  }
  if (typeof value !== "object" || value === null) return String(value);
  const members = Object.entries(value).map(([key, member]) =>
    `${writeString(key, escaped)}:${space}${write(member, space, escaped)}`
  );
  return `{${members.join(`,${space}`)}}`;
}

function writeString(text: string, escaped: boolean): string {
  const json = JSON.stringify(text);
  if (!escaped) return json;
  return json.replaceAll(
    /[\u0080-\uffff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Texts and numbers of JSON text; what stands between them is no matter. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/gs;

/**
 * JSON text with its numbers as {@link NumberText}. Every number is made a text with a mark in front, every text gets another one: the runtime's
 * reviver, which could tell the numbers' texts too, has given wrong objects.
 *
 * @throws SyntaxError what `JSON.parse` throws
 */
function parse(json: string): Value {
  JSON.parse(json);
  const marked = json.replaceAll(
    TOKEN,
    (token) => token.startsWith('"') ? `"t${token.slice(1)}` : `"n${token}"`,
  );
  return unmarked(JSON.parse(marked));
}

function unmarked(value: unknown): Value {
  if (typeof value === "string") {
    return value.startsWith("n") ? new NumberText(value.slice(1)) : value.slice(1);
  }
  if (Array.isArray(value)) return value.map(unmarked);
  if (typeof value !== "object" || value === null) return value as null | boolean;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key.slice(1), unmarked(member)]),
  );
}

/** The number as sign, digits and exponent: equal exactly when the numbers are. */
function exactly(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text);
  assert.ok(match, text);
  const [, sign, integer = "", fraction = "", exponent = "0"] = match;
  const digits = `${integer}${fraction}`.replace(/^0+/, "");
  const short = digits.replace(/0+$/, "");
  if (short === "") return "0";
  return `${sign}${short}e${Number(exponent) - fraction.length + digits.length - short.length}`;
}

/** Fails unless the columns' value is the payload's: missing and null are the same, and a number may have become its text. */
function assertSame(actual: Value | undefined, expected: Value | undefined, path: string): void {
  if (expected === null || expected === undefined) {
    assert.ok(actual === null || actual === undefined, `${path}: ${actual} for null`);
  } else if (expected instanceof NumberText) {
    if (typeof actual === "string") assert.equal(actual, expected.text, path);
    else assert.equal(exactly(String(actual)), exactly(expected.text), path);
  } else if (typeof expected !== "object") {
    assert.equal(actual, expected, path);
  } else if (Array.isArray(expected)) {
    assert.ok(Array.isArray(actual), `${path}: ${actual} for a list`);
    assert.equal(actual.length, expected.length, path);
    expected.forEach((item, at) => assertSame(actual[at], item, `${path}[${at}]`));
  } else {
    assert.ok(
      typeof actual === "object" && actual !== null && !Array.isArray(actual) &&
        !(actual instanceof NumberText),
      `${path}: ${actual} for an object`,
    );
    for (const key of new Set([...Object.keys(actual), ...Object.keys(expected)])) {
      assertSame(actual[key], expected[key], `${path}.${key}`);
    }
  }
}

Deno.test("json property: whatever objects come, in whatever batches, their values are the columns' values", () =>
  withDecoding(async ({ decode, read, assertNoTables }) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(row, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 3 }),
        async (batches: Row[][]) => {
          const decoder = createJsonDecoder({ inferTimes: false });
          // The last batch comes again: the quick way is open then.
          for (const rows of [...batches, batches.at(-1) ?? []]) {
            const payloads = rows.map(({ members, space, escaped }) =>
              write(members, space, escaped)
            );
            const outcome = await read(await decode(decoder, payloads));
            assert.deepEqual([...outcome.rejected], []);
            payloads.forEach((payload, at) => {
              assertSame(parse(outcome.json.get(at) ?? "null"), parse(payload), `row ${at}`);
            });
          }
        },
      ),
      { numRuns: 40 },
    );
    await assertNoTables();
  }));

/** The object with its keys as columns are called. */
function columns(object: Value | undefined): Value | undefined {
  if (typeof object !== "object" || object === null || object instanceof NumberText) return object;
  return Object.fromEntries(Object.entries(object).map(([key, member]) => [key || "_", member]));
}

const brokenText = fc.tuple(
  row,
  fc.nat(),
  fc.constantFrom(
    "",
    ",",
    "}",
    '"',
    "NaN",
    "1",
    "\\",
    " ",
    "[",
    ":",
    "\u0001",
    "-inf",
    "e5",
    ".",
    "0",
  ),
)
  .map(([{ members, space, escaped }, at, insert]) => {
    const text = write(members, space, escaped);
    const place = at % (text.length + 1);
    return `${text.slice(0, place)}${insert}${text.slice(insert === "" ? place + 1 : place)}`;
  })
  .filter((text) => text.isWellFormed());

Deno.test("json property: what JSON.parse refuses is refused, and nothing else", () =>
  withDecoding(async ({ decode, read, assertNoTables }) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(brokenText, { minLength: 1, maxLength: 20 }),
        async (payloads: string[]) => {
          const decoder = createJsonDecoder({ inferTimes: false });
          for (let round = 0; round < 2; round += 1) {
            const outcome = await read(await decode(decoder, payloads));
            payloads.forEach((payload, at) => {
              const reason = outcome.rejected.get(at);
              let parsed: Value | undefined;
              try {
                parsed = parse(payload);
              } catch {
                parsed = undefined;
              }
              if (reason === undefined) {
                assertSame(parse(outcome.json.get(at) ?? ""), columns(parsed), payload);
              } // A key twice, and half a surrogate pair, are more than JSON.parse refuses.
              else if (!/twice|surrogate/.test(reason)) {
                assert.equal(parsed, undefined, `${payload}: ${reason}`);
              }
            });
          }
        },
      ),
      { numRuns: 40 },
    );
    await assertNoTables();
  }));
