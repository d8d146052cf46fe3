import assert from "node:assert/strict";
import { applyEdits, parseModule, placeOf } from "./module_source.ts";
import { beforeEdits, decodeMappings, SourcePositions } from "./source_positions.ts";

const TYPESCRIPT = `import type { A } from "./types_only.ts";
import { B, used } from "./used.ts";
import { never } from "npm:unused";
interface I {
  a: A;
}
enum Level { Low = 1, High }
export class C {
  constructor(private readonly b: B) {}
}
export const where = String(import.meta.url, used, Level.High);
const lazy = await import("./lazy.ts");
throw new Error("here");
`;

Deno.test("a TypeScript module: imports of types vanish, the others are found", async () => {
  const parsed = await parseModule("/m/a.ts", TYPESCRIPT);
  const specifiers = parsed.imports.map(({ specifier, dynamic }) => [specifier, dynamic]).sort();
  assert.deepEqual(specifiers, [["./lazy.ts", true], ["./used.ts", false]]);
  assert.equal(parsed.metas.length, 1);
  const unused = parsed.unused.map(({ reference, place }) => [reference.specifier, place.line]);
  assert.deepEqual(unused, [["npm:unused", 3]]);
});

Deno.test("positions lead back to the TypeScript, over types, enums and edits", async () => {
  const parsed = await parseModule("/m/a.ts", TYPESCRIPT);
  const thrown = placeOf(parsed, parsed.code.indexOf("new Error"));
  assert.deepEqual(thrown, { file: "/m/a.ts", line: 13, column: 7 });
  const edited = applyEdits(parsed.code, [
    { start: 0, end: 0, text: "prelude();" },
    ...parsed.metas.map(({ start, end }) => ({ start, end, text: "someMuchLongerName()" })),
  ]);
  const positions = new SourcePositions([{
    url: "file:///run/0_a.mjs",
    file: "/m/a.ts",
    edits: edited.edits,
    ...(parsed.mappings === undefined ? {} : { mappings: parsed.mappings }),
  }]);
  const lines = edited.code.split("\n");
  const line = lines.findIndex((text) => text.includes("someMuchLongerName"));
  const column = lines[line]?.indexOf("used") ?? -1;
  assert.ok(column > 0);
  assert.deepEqual(positions.locate("file:///run/0_a.mjs", line + 1, column + 1), {
    file: "/m/a.ts",
    line: 11,
    column: TYPESCRIPT.split("\n")[10]!.indexOf("used") + 1,
  });
  assert.equal(
    positions.translate(`Error: x\n    at file:///run/0_a.mjs:${line + 1}:${column + 1}`),
    `Error: x\n    at /m/a.ts:11:${TYPESCRIPT.split("\n")[10]!.indexOf("used") + 1}`,
  );
  assert.equal(positions.locate("file:///other.mjs", 1, 1), undefined);
});

Deno.test("edits keep line numbers and columns", () => {
  const code = "a 'x' b\nimport\n.meta c\n'y' d";
  const at = (text: string) => ({
    start: code.indexOf(text),
    end: code.indexOf(text) + text.length,
  });
  const { code: out, edits } = applyEdits(code, [
    { ...at("'y'"), text: "'longer'" },
    { ...at("'x'"), text: "'long'" },
    { ...at("import\n.meta"), text: "M" },
  ]);
  assert.equal(out, "a 'long' b\nM\n c\n'longer' d");
  assert.equal(beforeEdits(edits, 0, out.indexOf("b")), code.indexOf("b"));
  assert.equal(beforeEdits(edits, 0, 4), 2);
  assert.equal(beforeEdits(edits, 3, "'longer' d".indexOf("d")), "'y' d".indexOf("d"));
});

Deno.test("mappings: signs, continued digits, lines without any", () => {
  assert.deepEqual(decodeMappings("AAAA,gBACF;;DADA"), [
    [{ generated: 0, line: 0, column: 0 }, { generated: 16, line: 1, column: -2 }],
    [],
    [{ generated: -1, line: 0, column: -2 }],
  ]);
});

for (
  const [file, text, place] of [
    ["/m/a.ts", "const a = 1;\nlet b: = 2;\n", "/m/a.ts:2:8"],
    ["/m/a.js", "const a = 1;\nlet b = ;\n", "/m/a.js:2:9"],
    ["/m/a.ts", "\n@dec class A {}\n", "/m/a.ts:2:1"],
  ] as const
) {
  Deno.test(`a syntax error names its place: ${JSON.stringify(text)}`, async () => {
    await assert.rejects(parseModule(file, text), (error) => {
      assert.ok(error instanceof Error);
      assert.match(error.message, new RegExp(`cannot read ${place}: \\S`));
      return true;
    });
  });
}

for (
  const text of [
    // Cases in which a lexer takes a division for a regular expression and misses what is between.
    "({}) / import(x) / 1",
    "x = {} / import(x) / 1",
    "`${`${import(x)}`}`",
    "if (a) /re/.test(b); (a) / import(x) / 2",
    "class A { [import(x)] = 1 }",
    "export default import(x)",
  ]
) {
  Deno.test(`a computed import is found: ${text}`, async () => {
    const { imports } = await parseModule("/m/a.js", text);
    assert.deepEqual(imports.map(({ specifier, dynamic }) => ({ specifier, dynamic })), [
      { specifier: undefined, dynamic: true },
    ]);
  });
}
