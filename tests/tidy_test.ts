import assert from "node:assert/strict";
import {
  applyExceptions,
  checkMarks,
  checkNames,
  checkPlaces,
  checkSizes,
  type Exception,
  type ProjectFile,
  tidy,
} from "../scripts/tidy.ts";
import { unreferenced } from "../scripts/tidy/references.ts";

const file = (path: string, text = ""): ProjectFile => ({ path, text });
const paths = (findings: readonly { readonly path: string }[]) => findings.map(({ path }) => path);

Deno.test("the repository is tidy", async () => {
  const findings = (await tidy()).map((f) => `${f.path}: ${f.rule}: ${f.message}`);
  assert.equal(findings.join("\n"), "");
});

Deno.test("tidy: long files are found, tests may be longer", () => {
  const lines = (count: number) => "x\n".repeat(count);
  const found = checkSizes([
    file("src/a.ts", lines(400)),
    file("src/b.ts", lines(401)),
    file("src/b_test.ts", lines(600)),
    file("tests/c.ts", lines(601)),
    file("docs/guide.md", lines(5000)),
  ]);
  assert.deepEqual(paths(found), ["src/b.ts", "tests/c.ts"]);
});

Deno.test("tidy: names that say nothing are found", () => {
  const bad = [
    "src/utils.ts",
    "src/sql/sql_helpers.ts",
    "src/common/a.ts",
    "src/manager_test.ts",
    "tests/Util.ts",
  ];
  const good = ["src/utilisation.ts", "src/commons.ts", "src/sql/managed.ts"];
  assert.deepEqual(paths(checkNames([...bad, ...good].map((path) => file(path)))), bad);
});

Deno.test("tidy: marks of undone work are found with their line", () => {
  const word = ["TO", "DO"].join("");
  const [finding] = checkMarks([file("src/a.ts", `x\n// ${word}: y\n`)]);
  assert.match(finding?.message ?? "", /^line 2: /);
  assert.deepEqual(checkMarks([file("src/a.ts", "const todoList = 1;\n")]), []);
});

Deno.test("tidy: hosts of registries and paths of one machine are found", () => {
  const slash = "/";
  const bad = [
    ["registry.npm", "js.org"].join(""),
    ["https://repo.mav", "en.apache.org/maven2"].join(""),
    `open("${slash}work/main/x")`,
    `cat ${slash}tmp/x`,
    `~${slash}.${"library"}/tools`,
  ];
  for (const text of bad) assert.equal(checkPlaces([file("a.md", text)]).length, 1, text);
  const good = [
    "src/work/x",
    "${directory}/work/",
    "./tmp/x",
    "the npm registry",
    "/usr/lib/postgresql",
  ];
  for (const text of good) assert.deepEqual(checkPlaces([file("a.md", text)]), [], text);
});

Deno.test("tidy: modules that nothing reaches are found", () => {
  const found = unreferenced([
    file("main.ts", 'import { a } from "./src/a.ts";'),
    file(
      "src/a.ts",
      'export * from "./b.ts";\nnew Worker(new URL("./worker.ts", import.meta.url));',
    ),
    file("src/b.ts", 'const c = await import("./c.ts");\nimport type { D } from "./d.ts";'),
    file("src/c.ts"),
    file("src/d.ts"),
    file("src/worker.ts"),
    file("src/tested.ts"),
    file("src/tested_test.ts", 'import { t } from "./tested.ts";\nimport "../tests/fixture.ts";'),
    file("src/forgotten.ts"),
    file("tests/fixture.ts"),
    file("tests/stray.ts"),
    file("scripts/tool.ts", 'import "./tool/part.ts";'),
    file("scripts/tool/part.ts"),
  ], ["main.ts"]);
  assert.deepEqual(found, [
    { path: "src/tested.ts", message: "only tests import it" },
    { path: "src/forgotten.ts", message: "nothing imports it" },
    { path: "tests/stray.ts", message: "nothing imports it" },
  ]);
});

Deno.test("tidy: an exception holds until its day, and only where it is needed", () => {
  const finding = { rule: "size", path: "src/a.ts", message: "long" } as const;
  const exception: Exception = {
    rule: "size",
    path: "src/a.ts",
    until: "2030-06-30",
    why: "a table",
  };
  const on = (day: string) => applyExceptions([finding], [exception], new Date(`${day}T12:00:00Z`));
  assert.deepEqual(on("2030-06-30"), []);
  assert.deepEqual(on("2030-07-01").map(({ rule }) => rule), ["size", "exception"]);
  const useless = applyExceptions([], [exception], new Date("2030-01-01"));
  assert.deepEqual(useless.map(({ message }) => message), ['needs no exception from "size"']);
});
