import assert from "node:assert/strict";
import { flow, inDirectory, testEach } from "./flow_program.ts";
import { ordersToDuckdb, ordersToPostgres } from "./pipelines.ts";

/** One way to fail: the files, the command line, the exit code and what standard error begins with. */
interface Failure {
  readonly what: string;
  readonly files: Readonly<Record<string, string>>;
  readonly args: readonly string[];
  readonly code: number;
  readonly error: string;
  readonly stderr: RegExp;
}

const BAD_JSON = `pipeline_name = "bad"
source_query = "rows.jsonl"
[source]
kind = "object_store_local"
path = "."
[target]
kind = "duckdb"
path = "out.duckdb"
[target.table]
name = "rows"
`;

const FAILURES: readonly Failure[] = [
  {
    what: "a file that is not there",
    files: {},
    args: ["consume", "nope.toml"],
    code: 10,
    error: "definition_not_found",
    stderr: /^error: cannot read the pipeline file nope\.toml: there is no such file\nhint: /,
  },
  {
    what: "an unknown key",
    files: { "p.toml": ordersToDuckdb("rosw = 1") },
    args: ["consume", "p.toml"],
    code: 10,
    error: "definition_invalid",
    stderr: /^error: p\.toml:6:1: source\.rosw: .*\nhint: .*rows/,
  },
  {
    what: "TOML that cannot be read",
    files: { "p.toml": "pipeline_name = \n" },
    args: ["consume", "p.toml"],
    code: 10,
    error: "definition_invalid",
    stderr: /^error: p\.toml:1:/,
  },
  {
    what: "a transform that does not bind",
    files: {
      "p.toml": `${ordersToDuckdb("rows = 1")}\n[transform]\nsql = "SELECT nope FROM source"\n`,
    },
    args: ["consume", "p.toml", "--until-end"],
    code: 10,
    error: "transform_invalid",
    stderr: /^error: .*nope/s,
  },
  {
    what: "a row that is not JSON, with nowhere to put it",
    files: { "p.toml": BAD_JSON, "rows.jsonl": '{"a":1}\nnot json\n' },
    args: ["consume", "p.toml", "--until-end"],
    code: 11,
    error: "row_decode_failed",
    stderr: /^error: /,
  },
  {
    what: "a directory that may not be read",
    files: { "p.toml": BAD_JSON, "rows.jsonl": '{"a":1}\n' },
    args: ["consume", "p.toml", "--until-end", "--allow-read=p.toml", "--allow-write=."],
    code: 12,
    error: "permission_",
    stderr: /^error: .*\nhint: .*--allow-read/,
  },
  {
    what: "a module that is not there",
    files: {},
    args: ["consume", "--module", "nope.ts"],
    code: 13,
    error: "module_",
    stderr: /^error: .*nope\.ts/,
  },
  {
    what: "a module that throws",
    files: { "m.ts": "\nthrow new Error('no luck');\n" },
    args: ["consume", "--module", "m.ts"],
    code: 13,
    error: "module_",
    stderr: /^error: .*m\.ts:2.*no luck/s,
  },
  {
    what: "a database that is away",
    files: { "p.toml": ordersToPostgres("postgres://u@127.0.0.1:1/db") },
    args: ["consume", "p.toml", "--until-end"],
    code: 20,
    error: "postgres_unreachable",
    stderr: /^error: .*127\.0\.0\.1:1/,
  },
];

for (const { what, files, args, code, error, stderr } of FAILURES) {
  testEach(`${what} ends with ${code}`, async (program) => {
    await inDirectory(files, async (cwd) => {
      const text = await flow(program, args, { cwd });
      assert.equal(text.code, code, text.stderr);
      assert.equal(text.stdout, "");
      assert.match(text.stderr, stderr);
      assert.doesNotMatch(text.stderr, /^ {4}at /m, "a stack is nothing for users");

      const json = await flow(program, [...args, "--format", "json"], { cwd });
      assert.equal(json.code, code);
      assert.equal(json.stdout, "");
      const line = json.stderr.trimEnd().split("\n").at(-1) ?? "";
      const told = JSON.parse(line).error;
      assert(told.code.startsWith(error), told.code);
      assert.equal(typeof told.message, "string");
    });
  });
}
