import assert from "node:assert/strict";
import { parse } from "@std/toml";
import fc from "fast-check";
import { isRecord } from "./key_names.ts";
import type { KeyPath } from "./problem.ts";
import { keyPositions } from "./toml_position.ts";

function at(toml: string, path: KeyPath): string | undefined {
  const position = keyPositions(toml)(path);
  return position && `${position.line}:${position.column}`;
}

Deno.test("keys, dotted keys and keys of tables have their own places", () => {
  const toml = [
    'name = "x"', // 1
    "  indented.inner . deep = 1 # comment with = and [brackets]", // 2
    "", // 3
    "[source]", // 4
    'kind = "kafka"', // 5
    "[source.columns]", // 6
    'user_id = "BIGINT"', // 7
    "[ target . table ]", // 8
    'name="t"', // 9
  ].join("\n");
  assert.equal(at(toml, ["name"]), "1:1");
  assert.equal(at(toml, ["indented"]), "2:3");
  assert.equal(at(toml, ["indented", "inner"]), "2:12");
  assert.equal(at(toml, ["indented", "inner", "deep"]), "2:20");
  assert.equal(at(toml, ["source"]), "4:1");
  assert.equal(at(toml, ["source", "kind"]), "5:1");
  assert.equal(at(toml, ["source", "columns"]), "6:1");
  assert.equal(at(toml, ["source", "columns", "user_id"]), "7:1");
  assert.equal(at(toml, ["target"]), "8:1");
  assert.equal(at(toml, ["target", "table", "name"]), "9:1");
  assert.equal(at(toml, ["nothing"]), undefined);
});

Deno.test("a table that is opened after its child has its header's place", () => {
  const toml = "[a.b]\nx = 1\n[a]\ny = 2\n";
  assert.equal(at(toml, ["a"]), "3:1");
  assert.equal(at(toml, ["a", "b"]), "1:1");
  assert.equal(at(toml, ["a", "y"]), "4:1");
});

Deno.test("arrays of tables count their items, and tables below belong to the last", () => {
  const toml = [
    "[[sources]]",
    'query = "a"',
    "[[sources]]",
    'query = "b"',
    "[sources.columns]",
    'x = "INT"',
    "[[targets]]",
    "[[targets.table]]",
    'name = "t"',
  ].join("\r\n");
  assert.equal(at(toml, ["sources", 0]), "1:1");
  assert.equal(at(toml, ["sources", 0, "query"]), "2:1");
  assert.equal(at(toml, ["sources", 1, "query"]), "4:1");
  assert.equal(at(toml, ["sources", 1, "columns", "x"]), "6:1");
  assert.equal(at(toml, ["sources", 0, "columns"]), undefined);
  assert.equal(at(toml, ["targets", 0, "table", 0, "name"]), "9:1");
  assert.equal(at(toml, ["targets", 0, "table", "name"]), "9:1");
});

Deno.test("quoted keys, in both quotes and with escapes", () => {
  const toml = '"a.b" = 1\n\'c"d\'.e = 2\n"\\u0066\\"g" = 3\n["x y".z]\n"" = 4\n';
  assert.equal(at(toml, ["a.b"]), "1:1");
  assert.equal(at(toml, ['c"d', "e"]), "2:7");
  assert.equal(at(toml, ['f"g']), "3:1");
  assert.equal(at(toml, ["x y", "z"]), "4:1");
  assert.equal(at(toml, ["x y", "z", ""]), "5:1");
});

Deno.test("inline tables and arrays, over several lines", () => {
  const toml = [
    'options = { a = 1, "b" = { c.d = [1, { e = 2 }] }, f = "}" }',
    "list = [",
    "  'one', # comment with ]",
    "  { two = 2 },",
    "]",
    "after = 1",
  ].join("\n");
  assert.equal(at(toml, ["options", "a"]), "1:13");
  assert.equal(at(toml, ["options", "b", "c", "d"]), "1:30");
  assert.equal(at(toml, ["options", "b", "c", "d", 1, "e"]), "1:40");
  assert.equal(at(toml, ["options", "f"]), "1:52");
  assert.equal(at(toml, ["list", 0]), "3:3");
  assert.equal(at(toml, ["list", 1, "two"]), "4:5");
  assert.equal(at(toml, ["after"]), "6:1");
});

Deno.test("nothing inside texts is taken for a key", () => {
  const toml = [
    'sql = """', // 1
    'SELECT \'a\' = 1 -- \\"""', // 2
    "[table]", // 3
    'key = 1 """""', // 4: two quotes belong to the text
    "literal = '''", // 5
    "other = \\", // 6
    "'''", // 7
    'a = "x \\" # = [b]"', // 8
    "last = 'C:\\'", // 9
    "end = 1979-05-27 07:32:00", // 10
  ].join("\n");
  assert.ok(parse(toml));
  assert.equal(at(toml, ["sql"]), "1:1");
  assert.equal(at(toml, ["table"]), undefined);
  assert.equal(at(toml, ["literal"]), "5:1");
  assert.equal(at(toml, ["other"]), undefined);
  assert.equal(at(toml, ["a"]), "8:1");
  assert.equal(at(toml, ["last"]), "9:1");
  assert.equal(at(toml, ["end"]), "10:1");
});

Deno.test("the finder never throws and always ends, whatever the text", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
    keyPositions(text)(["a"]);
  }));
  const pieces = fc.constantFrom(
    "[",
    "]",
    "{",
    "}",
    "=",
    '"',
    "'",
    '"""',
    "a",
    ".",
    ",",
    "\n",
    "#",
    "\\",
  );
  fc.assert(fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => {
    keyPositions(parts.join(""))(["a"]);
  }));
});

const key = fc.oneof(
  fc.constantFrom("a", "b-1", "c_d", "E"),
  fc.string({ minLength: 0, maxLength: 4 }).map((text) => JSON.stringify(text)),
);
const scalar = fc.oneof(
  fc.constantFrom(
    "1",
    "-1.5e3",
    "true",
    "1979-05-27T07:32:00Z",
    "'lit # ='",
    '"""\n[x]\ny = 1"""',
    "'''\n]'''",
  ),
  fc.string({ maxLength: 6 }).map((text) => JSON.stringify(text)),
);
const value: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    scalar,
    fc.array(tie("value"), { maxLength: 3 }).map((items) => `[ ${items.join(" , ")} ]`),
    fc.uniqueArray(key, { maxLength: 3 }).chain((keys) =>
      fc.tuple(...keys.map(() => tie("value"))).map((values) =>
        `{ ${keys.map((name, index) => `${name} = ${values[index]}`).join(", ")} }`
      )
    ),
  ),
})).value;
const document = fc.array(
  fc.oneof(
    fc.tuple(fc.array(key, { minLength: 1, maxLength: 3 }), value)
      .map(([path, text]) => `${path.join(".")} = ${text}`),
    fc.array(key, { minLength: 1, maxLength: 3 }).map((path) => `[${path.join(" . ")}]`),
    fc.array(key, { minLength: 1, maxLength: 2 }).map((path) => `[[ ${path.join(".")} ]]`),
    fc.constantFrom("# a = comment", ""),
  ),
  { maxLength: 8 },
).map((lines) => lines.join("\n"));

Deno.test("every key of every valid document is found", () => {
  let valid = 0;
  fc.assert(
    fc.property(document, (toml) => {
      let parsed: unknown;
      try {
        parsed = parse(toml);
      } catch {
        return;
      }
      valid += 1;
      const locate = keyPositions(toml);
      for (const path of pathsOf(parsed)) {
        assert.ok(locate(path), `${JSON.stringify(path)} in\n${toml}`);
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(valid > 100, `only ${valid} documents were valid`);
});

function pathsOf(value: unknown): KeyPath[] {
  const children: [string | number, unknown][] = Array.isArray(value)
    ? value.map((item, index) => [index, item])
    : isRecord(value)
    ? Object.entries(value)
    : [];
  return children.flatMap(([name, item]) => [
    [name],
    ...pathsOf(item).map((path) => [name, ...path]),
  ]);
}
