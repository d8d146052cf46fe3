import assert from "node:assert/strict";
import { FlowError } from "../core/error.ts";
import { parseArguments, requireTaken } from "./flags.ts";

function refusal(argv: readonly string[]): string {
  try {
    parseArguments(argv);
  } catch (error) {
    assert(error instanceof FlowError);
    assert.equal(error.code, "usage_invalid");
    return `${error.message} | ${error.hint}`;
  }
  throw new Error("it was taken");
}

Deno.test("flags: words stay what they are", () => {
  assert.deepEqual(parseArguments(["sql", "", "007"]).words, ["sql", "", "007"]);
});

Deno.test("flags: words and flags may stand in any order", () => {
  const { flags, words, given } = parseArguments([
    "--format",
    "json",
    "consume",
    "-q",
    "a.toml",
    "--metrics-port=0",
    "--no-color",
    "--until-end",
    "--",
    "--x",
  ]);
  assert.deepEqual(words, ["consume", "a.toml", "--x"]);
  assert.equal(flags.format, "json");
  assert.equal(flags["metrics-port"], 0);
  assert.equal(flags.quiet, true);
  assert.equal(flags.color, false);
  assert.equal(flags["until-end"], true);
  assert.equal(flags.verbose, false);
  assert.deepEqual(
    [...given].sort(),
    ["color", "format", "metrics-port", "quiet", "until-end"],
  );
});

Deno.test("flags: nothing given means the defaults", () => {
  const { flags, given } = parseArguments([]);
  assert.equal(flags.format, "text");
  assert.equal(flags.color, true);
  assert.equal(flags.module, undefined);
  assert.equal(given.size, 0);
});

const REFUSED: readonly (readonly [string, string])[] = [
  ["--metrics-prot 9100", "unknown flag --metrics-prot | did you mean --metrics-port?"],
  ["--metric_port=9100", "unknown flag --metric_port | did you mean --metrics-port?"],
  ["--no-colour", "unknown flag --no-colour | did you mean --no-color?"],
  ["--alow-net=x", "unknown flag --alow-net | did you mean --allow-net?"],
  ["--frobnicate", "unknown flag --frobnicate | the flags are shown by: flow help"],
  ["-x", "unknown flag -x | the flags are shown by: flow help"],
  ["-format json", "unknown flag -format | did you mean --format?"],
  ["--no-quiet", "unknown flag --no-quiet | did you mean --quiet?"],
  ["--no-module", "unknown flag --no-module | did you mean --module?"],
  [
    "--metrics-port",
    "--metrics-port needs a value | give a port from 0 to 65535: --metrics-port=VALUE",
  ],
  [
    "--module --quiet",
    "--module needs a value | give the path of a TypeScript module: --module=VALUE",
  ],
  [
    "--metrics-port 65536",
    "--metrics-port is '65536', but takes a port from 0 to 65535 | correct the value of --metrics-port",
  ],
  [
    "--min-backoff-ms 1.5",
    "--min-backoff-ms is '1.5', but takes whole milliseconds from 1 | correct the value of --min-backoff-ms",
  ],
  [
    "--min-backoff-ms 0",
    "--min-backoff-ms is '0', but takes whole milliseconds from 1 | correct the value of --min-backoff-ms",
  ],
  [
    "--max-restarts=many",
    "--max-restarts is 'many', but takes a whole number from 0 | correct the value of --max-restarts",
  ],
  ["--limit 0", "--limit is '0', but takes a whole number from 1 | correct the value of --limit"],
  [
    "--status succes",
    "--status is 'succes', but takes running, success, failed or skipped | did you mean --status success?",
  ],
  ["--no-run-lgo", "unknown flag --no-run-lgo | did you mean --no-run-log?"],
  ["--no-run-log-url", "unknown flag --no-run-log-url | did you mean --run-log-url?"],
  ["--format json --format text", "--format is given 2 times | give --format once"],
];

for (const [line, expected] of REFUSED) {
  Deno.test(`flags: ${line} is refused`, () => {
    assert.equal(refusal(line.split(" ")), expected);
  });
}

Deno.test("flags: --no-run-log is a flag of its own, and a word after --", () => {
  const { flags, given } = parseArguments(["run", "--no-run-log", "--run-log", "x.db"]);
  assert.equal(flags["no-run-log"], true);
  assert.equal(flags["run-log"], "x.db");
  assert.deepEqual([...given].sort(), ["no-run-log", "run-log"]);
  assert.deepEqual(parseArguments(["run", "--", "--no-run-log"]).words, ["run", "--no-run-log"]);
});

Deno.test("flags: --register may be given several times", () => {
  assert.deepEqual(parseArguments(["--register", "a=b.csv"]).flags.register, ["a=b.csv"]);
  assert.deepEqual(
    parseArguments(["--register", "a=b.csv", "--register=c=d.parquet"]).flags.register,
    ["a=b.csv", "c=d.parquet"],
  );
});

Deno.test("flags: a command refuses flags of others", () => {
  const parsed = parseArguments(["--profile"]);
  assert.throws(
    () => requireTaken({ name: "connections", flags: ["module"] }, parsed),
    /'flow connections' takes no flag --profile/,
  );
  requireTaken({ name: "consume", flags: ["profile"] }, parsed);
});

Deno.test("flags: a command has formats of its own, the first is the default", () => {
  const formats = ["table", "json", "csv"] as const;
  const sql = { name: "sql", flags: [], formats };
  assert.equal(requireTaken(sql, parseArguments([])).format, "table");
  assert.equal(requireTaken(sql, parseArguments(["--format=csv"])).format, "csv");
  const consume = { name: "consume", flags: [] };
  assert.equal(requireTaken(consume, parseArguments([])).format, "text");
  assert.throws(() => requireTaken(consume, parseArguments(["--format=jsno"])), {
    code: "usage_invalid",
    message: "--format is 'jsno', but takes text or json",
    hint: "did you mean --format json?",
  });
  assert.throws(
    () => requireTaken(sql, parseArguments(["--format=parquet"])),
    /--format is 'parquet', but takes table, json or csv/,
  );
});
