import assert from "node:assert/strict";
import { flow, testEach } from "../cli/flow_program.ts";
import { failure, inProject } from "./boundary.ts";

/** Everything that TypeScript in several folders may do. */
const PROJECT = {
  "pipelines/main.ts": `#!/usr/bin/env -S flow consume --module
import { datagen, memory, streamingPipeline, type ConnectionInput } from "flow";
import type { Unused } from "./shared/types.ts";
import { Columns } from "./shared/types.ts";
import { Mode, rows } from "./shared/settings.ts";
import names from "./shared/names.json" with { type: "json" };
import plain from "./shared/plain.js";
import { even } from "./shared/cycle/even.ts";
import { readFileSync } from "node:fs";

const { suffix } = await import("./shared/late.mts");
namespace Topics {
  export const orders = "orders";
}
class Named {
  constructor(readonly name: string, private readonly mode = Mode.Append) {}
  get full(): string {
    return [this.name, this.mode, even(4), plain, suffix].join("-");
  }
}
const columns: Columns = { id: "sequence" } satisfies Columns;
const kept: ConnectionInput | Unused | undefined = undefined;
const beside = readFileSync(new URL("./data.txt", import.meta.url), "utf8");
console.log("defining", beside, kept);
streamingPipeline(new Named(names.first).full, {
  source: datagen({ columns, rows }),
  sourceQuery: Topics.orders,
  target: memory({ name: import.meta.filename?.split("/").at(-1) ?? "?" }),
  targetTable: "orders",
});
`,
  "pipelines/data.txt": "data beside the module",
  "pipelines/shared/types.ts":
    "export interface Unused { a: 1 }\nexport interface Columns { id: 'sequence' }\n",
  "pipelines/shared/settings.ts":
    "export enum Mode { Append = 'append', Merge = 'merge' }\nexport const rows: number = 10;\n",
  "pipelines/shared/names.json": `{ "first": "from_json" }`,
  "pipelines/shared/plain.js": `export default "js";\n`,
  "pipelines/shared/late.mts": `export const suffix: string = "late";\n`,
  "pipelines/shared/cycle/even.ts":
    `import { odd } from "./odd.ts";\nexport function even(n: number): boolean { return n === 0 || odd(n - 1); }\n`,
  "pipelines/shared/cycle/odd.ts":
    `import { even } from "./even.ts";\nexport function odd(n: number): boolean { return n !== 0 && even(n - 1); }\n`,
};

testEach("a TypeScript module of several folders loads", async (program) => {
  await inProject(PROJECT, async (project) => {
    const { code, stdout, stderr } = await flow(program, [
      "consume-list",
      "--module",
      "pipelines/main.ts",
      "--allow-read=pipelines/data.txt",
      "--format",
      "json",
    ], { cwd: project });
    assert.equal(code, 0, stderr);
    const { pipelines } = JSON.parse(stdout) as { pipelines: string[] };
    assert.deepEqual(pipelines, ["from_json-append-true-js-late"]);
    // Standard output is for data; what modules print goes elsewhere.
    assert.match(stderr, /defining data beside the module undefined/);
  });
});

/** Modules that fail, and the place in the user's own file. */
const FAILURES: readonly {
  readonly what: string;
  readonly files: Readonly<Record<string, string>>;
  readonly code: string;
  readonly message: RegExp;
}[] = [
  {
    what: "a throw below types and an enum, in an imported file",
    files: {
      "main.ts": `import { fail } from "./lib/fails.ts";\nfail<string>("q");\n`,
      "lib/fails.ts":
        `interface Long {\n  a: string;\n}\nenum E { A, B }\n\nexport function fail<T>(q: T): never {\n  const n: number = 1; throw new TypeError(\`boom \${q} \${E.B}\` as string);\n}\n`,
    },
    code: "module_failed",
    message: /\/lib\/fails\.ts:7:30: TypeError: boom q 1$/,
  },
  {
    what: "a throw in JavaScript",
    files: { "main.ts": `import "./a.mjs";\n`, "a.mjs": `\n\n  null.x;\n` },
    code: "module_failed",
    message: /\/a\.mjs:3:8: TypeError: Cannot read properties of null/,
  },
  {
    what: "a rejected promise that nobody awaits",
    files: {
      "main.ts":
        `Promise.reject(new Error("lost"));\nawait new Promise((resolve) => setTimeout(resolve, 5000));\n`,
    },
    code: "module_failed",
    message: /\/main\.ts:1:16: Error: lost$/,
  },
  {
    what: "a rejected promise in the last line",
    files: { "main.ts": `const late = 1;\nPromise.reject(new Error("lost"));\n` },
    code: "module_failed",
    message: /\/main\.ts:2:16: Error: lost$/,
  },
  {
    what: "a value thrown that is no error",
    files: { "main.ts": `throw { odd: 1 };\n` },
    code: "module_failed",
    message: /main\.ts: \{ odd: 1 \}$/,
  },
  {
    what: "a name that is not exported",
    files: {
      "main.ts": `\nimport { b } from "./a.ts";\nconsole.log(b);\n`,
      "a.ts": `export const a = 1;\n`,
    },
    code: "module_failed",
    message: /\/main\.ts:2:10: SyntaxError: .*\/a\.ts' does not provide an export named 'b'/,
  },
  {
    what: "a syntax error",
    files: { "main.ts": `const a = 1;\nlet b: = 2;\n` },
    code: "module_invalid_syntax",
    message: /\/main\.ts:2:8: /,
  },
  {
    what: "a missing file",
    files: { "main.ts": `\nimport "./lib/missing.ts";\n` },
    code: "module_not_found",
    message: /\/lib\/missing\.ts, imported at .*\/main\.ts:2:8$/,
  },
  {
    what: "JSON without its import attribute",
    files: { "main.ts": `import a from "./a.json";\nconsole.log(a);\n`, "a.json": "{}" },
    code: "module_import_refused",
    message: /\/main\.ts:1:15: cannot import '\.\/a\.json'/,
  },
];

for (const { what, files, code, message } of FAILURES) {
  testEach(`an error names the user's own line: ${what}`, async (program) => {
    await inProject(files, async (project) => {
      const args = ["consume-list", "--module", "main.ts"];
      const { error } = await failure(program, args, project);
      assert.equal(error.code, code, JSON.stringify(error));
      assert.match(error.message, message);
    });
  });
}

testEach("endless modules are stopped and named", async (program) => {
  const files = {
    "sync.ts": `import "./lib/loop.ts";\n`,
    "lib/loop.ts": `console.log("before");\nfor (;;) {}\n`,
    "waiting.ts": `await new Promise(() => {});\n`,
  };
  await inProject(files, async (project) => {
    const failed = await Promise.all(["sync.ts", "waiting.ts"].map(async (module) => {
      const { error } = await failure(program, ["consume-list", "--module", module], project);
      return error;
    }));
    for (const error of failed) assert.equal(error.code, "module_timeout", JSON.stringify(error));
    assert.match(failed[0]?.message ?? "", /sync\.ts .*stopped.*\/lib\/loop\.ts$/);
    assert.match(failed[1]?.message ?? "", /waiting\.ts .*stopped.*\/waiting\.ts$/);
  });
});
