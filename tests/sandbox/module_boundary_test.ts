import assert from "node:assert/strict";
import { PROGRAMS, testEach } from "../cli/flow_program.ts";
import { embeddedLibrary, failure, inProject } from "./boundary.ts";

const PIPELINE = `import { datagen, memory, streamingPipeline } from "flow";
streamingPipeline("orders", {
  source: datagen({ columns: { id: "sequence" }, rows: 10 }),
  sourceQuery: "orders",
  target: memory({ name: "out" }),
  targetTable: "orders",
});
`;

/** A module that tries something, and how it has to be refused. `OUTSIDE` and `LIBRARY` stand for paths. */
interface Attempt {
  readonly what: string;
  readonly flags: readonly string[];
  /** The code of line 2; line 1 imports flow. */
  readonly code: string;
  readonly error: string;
  /** In the hint: the missing flag, or that there is none. */
  readonly hint: string | RegExp;
}

const NEVER = /never have --allow-/;
const NO_FLAG = /no flag grants this/;
const BESIDE = /put the code that is needed into a file beside it/;

const ATTEMPTS: readonly Attempt[] = [
  {
    what: "reads /etc/passwd",
    flags: ["--sandbox"],
    code: `Deno.readTextFileSync("/etc/passwd");`,
    error: "permission_denied",
    hint: "run flow with --allow-read=/etc/passwd",
  },
  {
    what: "reads /etc/passwd through node:fs",
    flags: ["--allow-read=data"],
    code: `fs.readFileSync("/etc/passwd");`,
    error: "permission_denied",
    hint: "run flow with --allow-read=/etc/passwd",
  },
  {
    what: "reads a file beside itself, which may be loaded but not read",
    flags: ["--sandbox"],
    code: `await Deno.readTextFile(new URL("./secret.json", import.meta.url));`,
    error: "permission_denied",
    hint: "run flow with --allow-read=OUTSIDE/project/secret.json",
  },
  {
    what: "leaves its directory by ..",
    flags: ["--allow-read=data"],
    code: `await Deno.readTextFile("data/../../outside.json");`,
    error: "permission_denied",
    hint: /--allow-read=.*outside\.json/,
  },
  {
    what: "opens an unlisted port",
    flags: ["--allow-net=127.0.0.1:9"],
    code: `await Deno.connect({ hostname: "127.0.0.1", port: 1 });`,
    error: "permission_denied",
    hint: "run flow with --allow-net=127.0.0.1:1",
  },
  {
    what: "fetches",
    flags: ["--sandbox"],
    code: `await fetch("http://example.invalid:8080/x");`,
    error: "permission_denied",
    hint: "run flow with --allow-net=example.invalid:8080",
  },
  {
    what: "spawns a process",
    flags: ["--allow-all"],
    code: `await new Deno.Command("id").output();`,
    error: "permission_denied",
    hint: NEVER,
  },
  {
    what: "spawns a process without any flag given",
    flags: [],
    code: `new Deno.Command("id").spawn();`,
    error: "permission_denied",
    hint: NEVER,
  },
  {
    what: "signals a process",
    flags: ["--allow-all"],
    code: `Deno.kill(Deno.ppid, "SIGTERM");`,
    error: "permission_denied",
    hint: NEVER,
  },
  {
    what: "reads an unlisted variable",
    flags: ["--allow-env=PATH"],
    code: `Deno.env.get("FLOW_TEST_SECRET");`,
    error: "permission_denied",
    hint: "run flow with --allow-env=FLOW_TEST_SECRET",
  },
  {
    what: "reads a denied variable",
    flags: ["--deny-env=FLOW_TEST_SECRET"],
    code: `console.log(process.env.FLOW_TEST_SECRET);`,
    error: "permission_denied",
    hint: "run flow with --allow-env=FLOW_TEST_SECRET",
  },
  {
    what: "asks for the host's name",
    flags: ["--sandbox"],
    code: `Deno.hostname();`,
    error: "permission_denied",
    hint: "run flow with --allow-sys=hostname",
  },
  {
    what: "writes outside",
    flags: ["--allow-write=out"],
    code: `await Deno.writeTextFile("OUTSIDE/written", "x");`,
    error: "permission_denied",
    hint: "run flow with --allow-write=OUTSIDE/written",
  },
  {
    what: "links into a directory that it may read",
    flags: ["--allow-read=data", "--allow-write=data"],
    code: `await Deno.symlink("/etc/passwd", "data/link");`,
    error: "permission_denied",
    hint: /--allow-write$/,
  },
  {
    what: "loads the engine's library",
    flags: ["--allow-all"],
    code: `Deno.dlopen("LIBRARY", { system: { parameters: ["buffer"], result: "i32" } });`,
    error: "permission_denied",
    hint: NEVER,
  },
  {
    what: "loads a native addon",
    flags: ["--allow-all"],
    code: `process.dlopen({ exports: {} }, "LIBRARY");`,
    error: "module_failed",
    hint: "",
  },
  {
    what: "imports a remote module",
    flags: ["--allow-all", "--allow-import"],
    code: `import * as remote from "https://example.com/x.ts"; console.log(remote);`,
    error: "module_import_refused",
    hint: BESIDE,
  },
  {
    what: "imports a remote module that nothing uses",
    flags: [],
    code: `import remote from "https://example.com/x.ts";`,
    error: "module_import_refused",
    hint: BESIDE,
  },
  {
    what: "opens DuckDB itself",
    flags: ["--allow-all"],
    code: `import { DuckDBInstance } from "npm:@duckdb/node-api"; await DuckDBInstance.create();`,
    error: "module_import_refused",
    hint: BESIDE,
  },
  {
    what: "imports a package of flow's own by its bare name",
    flags: [],
    code: `import pg from "pg"; console.log(pg);`,
    error: "module_import_refused",
    hint: BESIDE,
  },
  {
    what: "imports from jsr",
    flags: [],
    code: `export * from "jsr:@std/toml";`,
    error: "module_import_refused",
    hint: BESIDE,
  },
  {
    what: "imports code from a data: URL",
    flags: [],
    code: `await import("data:text/javascript,export default 1");`,
    error: "module_import_refused",
    hint: BESIDE,
  },
  {
    what: "imports a module of the runtime that runs code",
    flags: [],
    code: `import { runInThisContext } from "node:vm"; runInThisContext("1");`,
    error: "module_import_refused",
    hint: /do not have this module/,
  },
  {
    what: "computes what it imports",
    flags: [],
    code: `const path = "OUTSIDE/outside.json"; await import(path, { with: { type: "json" } });`,
    error: "module_import_refused",
    hint: /give import\(\) a plain text/,
  },
  {
    what: "hides a computed import behind a division",
    flags: ["--sandbox"],
    code:
      `const p = "OUTSIDE/outside.json"; console.log({} / import(p, { with: { type: "json" } }) / 1);`,
    error: "module_import_refused",
    hint: /give import\(\) a plain text/,
  },
  {
    what: "imports a file outside of its directory",
    flags: ["--sandbox"],
    code: `import outside from "../outside.json" with { type: "json" }; console.log(outside);`,
    error: "permission_denied",
    hint: "run flow with --allow-read=OUTSIDE/outside.json",
  },
  {
    what: "imports a file outside through a symbolic link",
    flags: ["--sandbox"],
    code: `import outside from "./link.json" with { type: "json" }; console.log(outside);`,
    error: "permission_denied",
    hint: "run flow with --allow-read=OUTSIDE/outside.json",
  },
  {
    what: "makes an import from text with eval",
    flags: ["--sandbox"],
    code: `await eval('import("OUTSIDE/outside.json", { with: { type: "json" } })');`,
    error: "permission_denied",
    hint: NO_FLAG,
  },
  {
    what: "makes an import from text with a function's constructor",
    flags: ["--sandbox"],
    code: `await (async () => {}).constructor('return import("OUTSIDE/outside.json")')();`,
    error: "permission_denied",
    hint: NO_FLAG,
  },
  {
    what: "makes an import from text with a timer",
    flags: ["--sandbox"],
    code: `setTimeout('import("OUTSIDE/outside.json")' as never);`,
    error: "permission_denied",
    hint: NO_FLAG,
  },
  {
    what: "starts a thread",
    flags: ["--sandbox"],
    code: `new Worker("data:text/javascript,import('file:///x.json')", { type: "module" });`,
    error: "permission_denied",
    hint: NO_FLAG,
  },
  {
    what: "asks the runtime for its internals",
    flags: ["--sandbox"],
    code: `process.getBuiltinModule("node:vm");`,
    error: "module_failed",
    hint: "",
  },
  {
    what: "ends the isolate",
    flags: [],
    code: `Deno.exit(0);`,
    error: "permission_denied",
    hint: NO_FLAG,
  },
];

for (const attempt of ATTEMPTS) {
  testEach(`a module that ${attempt.what} is stopped (${attempt.flags.join(" ")})`, (program) => {
    const fs = attempt.code.includes("fs.") ? `import fs from "node:fs"; ` : "";
    const files = { "data/x.txt": "x", "secret.json": "{}", "out/x.txt": "x" };
    return inProject(files, async (project, outside) => {
      const library = attempt.code.includes("LIBRARY") ? await embeddedLibrary(program) : "";
      const fill = (text: string) =>
        text.replaceAll("OUTSIDE", outside).replaceAll("LIBRARY", library);
      const module = `import "flow";\n${fs}${fill(attempt.code)}\n${PIPELINE}`;
      await Deno.writeTextFile(`${project}/pipelines.ts`, module);
      await Deno.writeTextFile(`${outside}/outside.json`, `{"secret":42}`);
      await Deno.symlink(`${outside}/outside.json`, `${project}/link.json`);
      const args = ["consume-list", "--module", "pipelines.ts", ...attempt.flags];
      const env = { FLOW_TEST_SECRET: "s3cr3t" };
      const { error, ended } = await failure(program, args, project, env);
      assert.equal(error.code, attempt.error, JSON.stringify(error));
      if (typeof attempt.hint === "string") assert.equal(error.hint ?? "", fill(attempt.hint));
      else assert.match(error.hint ?? "", attempt.hint);
      assert.match(error.message, /pipelines\.ts:2:\d+/);
      assert.doesNotMatch(ended.stdout + ended.stderr, /s3cr3t|secret":42/);
      await assert.rejects(Deno.stat(`${outside}/written`), Deno.errors.NotFound);
    });
  });
}

const BINARY = PROGRAMS.find(({ name }) => name === "binary");

Deno.test({
  name: "cli (binary): what is denied is not asked for at a terminal",
  ignore: BINARY === undefined || Deno.build.os !== "linux",
  async fn() {
    const module = `import "flow";\nDeno.readTextFileSync("/etc/passwd");\n`;
    await inProject({ "pipelines.ts": module }, async (project) => {
      // `script` runs a command with a terminal of its own.
      const child = new Deno.Command("script", {
        args: [
          "-qec",
          `'${BINARY?.command}' consume-list --module pipelines.ts --sandbox`,
          "/dev/null",
        ],
        cwd: project,
        stdin: "null",
        stdout: "piped",
      }).spawn();
      const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
      const { stdout } = await child.output();
      clearTimeout(timer);
      const text = new TextDecoder().decode(stdout);
      assert.match(text, /run flow with --allow-read=\/etc\/passwd/);
      assert.doesNotMatch(text, /Allow\?/);
    });
  },
});
