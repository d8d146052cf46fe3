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
