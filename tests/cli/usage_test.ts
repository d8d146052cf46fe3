import assert from "node:assert/strict";
import { flow, testEach } from "./flow_program.ts";

/** A command line that is wrong, and what is said about it. All of them end with 2. */
const USAGE_ERRORS: readonly (readonly [line: string, stderr: string])[] = [
  ["", "error: no command is given\nhint: the commands are shown by: flow help\n"],
  ["consum x.toml", "error: unknown command 'consum'\nhint: did you mean flow consume?\n"],
  [
    "connection list",
    "error: unknown command 'connection'\nhint: did you mean flow connections?\n",
  ],
  [
    "frobnicate",
    "error: unknown command 'frobnicate'\nhint: the commands are shown by: flow help\n",
  ],
  ["pipeline.toml", "error: unknown command 'pipeline.toml'\nhint: flow consume pipeline.toml\n"],
  [
    "consume x.toml --metrics-prot 1",
    "error: unknown flag --metrics-prot\nhint: did you mean --metrics-port?\n",
  ],
  [
    "consume x.toml --alow-net",
    "error: unknown flag --alow-net\nhint: did you mean --allow-net?\n",
  ],
  ["consume x.toml -x", "error: unknown flag -x\nhint: the flags are shown by: flow help\n"],
  [
    "consume x.toml --metrics-port 99999",
    "error: --metrics-port is '99999', but takes a port from 0 to 65535\nhint: correct the value of --metrics-port\n",
  ],
  [
    "consume x.toml --metrics-port",
    "error: --metrics-port needs a value\nhint: give a port from 0 to 65535: --metrics-port=VALUE\n",
  ],
  [
    "consume x.toml --restart-on-error --min-backoff-ms 1s",
    "error: --min-backoff-ms is '1s', but takes whole milliseconds from 1\nhint: correct the value of --min-backoff-ms\n",
  ],
  [
    "consume x.toml --restart-on-error --max-restarts -1",
    "error: --max-restarts is '-1', but takes a whole number from 0\nhint: correct the value of --max-restarts\n",
  ],
  [
    "consume x.toml --restart-on-error --min-backoff-ms 500 --max-backoff-ms 100",
    "error: --min-backoff-ms 500 is more than --max-backoff-ms 100\n" +
    "hint: make the longest wait at least as long as the first\n",
  ],
  [
    "consume x.toml --max-restarts 3",
    "error: --max-restarts has no effect without --restart-on-error\nhint: add --restart-on-error\n",
  ],
  [
    "consume x.toml --format yaml",
    "error: --format is 'yaml', but takes text or json\nhint: correct the value of --format\n",
  ],
  [
    "consume x.toml -q -v",
    "error: --quiet and --verbose contradict one another\nhint: leave one of them out\ncode: usage_invalid\n",
  ],
  [
    "consume",
    "error: 'flow consume' needs a pipeline\nhint: flow consume FILE.toml, or flow consume --module M NAME\n",
  ],
  [
    "consume a.toml b.toml",
    "error: 'b.toml' is one word too many\nhint: give one FILE.toml, and each flag once\n",
  ],
  [
    "consume pipelines.ts",
    "error: 'pipelines.ts' is a module, not a TOML file\nhint: give it as --module pipelines.ts\n",
  ],
  [
    "consume --module p.toml orders",
    "error: 'p.toml' is a TOML file, not a module\nhint: give it by itself, without --module\n",
  ],
  [
    "consume --module m.ts a b",
    "error: 'flow consume' runs one pipeline, but 2 are named: a, b\nhint: start a flow consume for each\n",
  ],
  [
    "consume-list",
    "error: 'flow consume-list' needs a module\nhint: flow consume-list --module M\n",
  ],
  [
    "consume-list --module m.ts x",
    "error: both --module m.ts and 'x' are given\nhint: give either --module M or FILE.toml\n",
  ],
  [
    "consume-list --module m.ts --until-end",
    "error: 'flow consume-list' takes no flag --until-end\nhint: its flags are shown by: flow consume-list --help\n",
  ],
  [
    "connections",
    "error: 'flow connections' needs to know what to do\nhint: flow connections list, or flow connections check NAME\n",
  ],
  [
    "connections chekc x",
    "error: unknown command 'flow connections chekc'\nhint: did you mean flow connections check?\n",
  ],
  [
    "connections check",
    "error: which connection is to be checked?\nhint: flow connections check NAME\n",
  ],
  [
    "run",
    "error: 'flow run' needs a pipeline\nhint: flow run FILE.toml NAME, or flow run --module M NAME\n",
  ],
  [
    "run nightly",
    "error: where is the pipeline 'nightly' defined?\nhint: flow run FILE.toml nightly, or flow run --module M nightly\n",
  ],
  [
    "run p.toml a b",
    "error: 'flow run' takes one pipeline, but 2 are named: a, b\nhint: start a flow run for each\n",
  ],
  [
    "run p.toml a --restate-from 2026-02-30",
    "error: --restate-from is '2026-02-30', but takes a date or time in ISO-8601\nhint: correct the value of --restate-from\n",
  ],
  [
    "run p.toml a --run-log x.db --run-log-path y.db",
    "error: --run-log x.db and --run-log-path y.db contradict one another\nhint: leave one of them out\n",
  ],
  [
    "run p.toml a --run-log-url x.db --no-run-log",
    "error: --run-log-url and --no-run-log contradict one another\nhint: leave one of them out\n",
  ],
  [
    "run-due",
    "error: 'flow run-due' needs pipelines\nhint: flow run-due FILE.toml, or flow run-due --module M\n",
  ],
  [
    "run-due p.toml --now tomorrow",
    "error: --now is 'tomorrow', but takes a time in ISO-8601\nhint: correct the value of --now\n",
  ],
  [
    "list",
    "error: 'flow list' needs pipelines\nhint: flow list FILE.toml, or flow list --module M\n",
  ],
  [
    "runs lsit",
    "error: unknown command 'flow runs lsit'\nhint: did you mean flow runs list?\n",
  ],
  ["runs show", "error: which run is to be shown?\nhint: flow runs show RUN_ID\n"],
  [
    "runs show x --limit 3",
    "error: --limit has no effect with 'flow runs show'\nhint: leave --limit out\n",
  ],
  [
    "runs list --since yesterday",
    "error: --since is 'yesterday', but takes a time in ISO-8601, or an age such as 90m, 24h or 7d\n" +
    "hint: correct the value of --since\n",
  ],
  [
    "logs",
    "error: 'flow logs' needs the id of a run\nhint: flow logs RUN_ID; see flow runs list\n",
  ],
  [
    "sql SELECT 1",
    "error: 'flow sql' takes one query, but there are 2 words\nhint: put the query into quotes\n",
  ],
  [
    "sql x --format jsno",
    "error: --format is 'jsno', but takes table, json, csv, arrow or parquet\nhint: did you mean --format json?\n",
  ],
  [
    "sql x --limit 3 --format csv",
    "error: --limit has no effect with --format csv\nhint: write LIMIT into the query\n",
  ],
  [
    "sql x --register orders",
    "error: --register is 'orders', but takes NAME=PATH\nhint: for example --register orders=orders.parquet\n",
  ],
  [
    "help exitcodes",
    "error: there is no help on 'exitcodes'\nhint: did you mean flow help exit-codes?\n",
  ],
  [
    "help consume list",
    "error: 'flow help' takes one name, not also 'list'\nhint: flow help NAME\n",
  ],
];

testEach("usage errors end with 2, on standard error only", async (program) => {
  for (const [line, expected] of USAGE_ERRORS) {
    const { code, stdout, stderr } = await flow(program, line.split(" ").filter(Boolean));
    assert.deepEqual({ line, code, stdout, stderr }, {
      line,
      code: 2,
      stdout: "",
      stderr: expected,
    });
  }
});

testEach("a contradiction of permission flags is a usage error", async (program) => {
  const { code, stderr } = await flow(program, ["consume", "x.toml", "--sandbox", "-A"]);
  assert.equal(code, 2);
  assert.match(stderr, /^error: --sandbox and --allow-all contradict one another\nhint: /);
});

testEach("with --format json an error is one line of JSON", async (program) => {
  for (const args of [["consume", "--format", "json"], ["--format=json", "consume"]]) {
    const { code, stdout, stderr } = await flow(program, args);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.equal(stderr.trimEnd().split("\n").length, 1);
    assert.deepEqual(JSON.parse(stderr), {
      error: {
        code: "usage_invalid",
        domain: "user",
        retryable: false,
        message: "'flow consume' needs a pipeline",
        hint: "flow consume FILE.toml, or flow consume --module M NAME",
      },
    });
  }
});
