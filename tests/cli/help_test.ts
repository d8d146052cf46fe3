/**
 * Help texts are kept in `snapshots/`. After a change that is meant: FLOW_UPDATE_SNAPSHOTS=1 deno test -A tests/cli/help_test.ts, and
 * look at the difference.
 */
import assert from "node:assert/strict";
import project from "../../deno.json" with { type: "json" };
import { EXIT_CODES } from "../../src/cli/exit_code.ts";
import { flow, testEach } from "./flow_program.ts";

const SNAPSHOTS = new URL("snapshots/", import.meta.url);
const UPDATE = Deno.env.get("FLOW_UPDATE_SNAPSHOTS") === "1";

/** Snapshot by command line; those that share one must print the same. */
const HELP: readonly (readonly [line: string, snapshot: string])[] = [
  ["help", "help"],
  ["--help", "help"],
  ["-h", "help"],
  ["help consume", "consume"],
  ["consume --help", "consume"],
  ["consume x.toml --metrics-port 1 -h", "consume"],
  ["help consume-list", "consume_list"],
  ["help connections", "connections"],
  ["connections check --help", "connections"],
  ["help list", "list"],
  ["help run", "run"],
  ["help run-due", "run_due"],
  ["run-due --now 2026-01-01 --help", "run_due"],
  ["help status", "status"],
  ["help preview", "preview"],
  ["help dry-run", "dry_run"],
  ["help validate", "validate"],
  ["help runs", "runs"],
  ["runs list --help", "runs"],
  ["help logs", "logs"],
  ["help sql", "sql"],
  ["help help", "help_help"],
  ["help exit-codes", "exit_codes"],
  ["help permissions", "permissions"],
];

testEach("help is what the snapshots keep", async (program) => {
  for (const [line, snapshot] of HELP) {
    const { code, stdout, stderr } = await flow(program, line.split(" "));
    assert.equal(code, 0, line);
    assert.equal(stderr, "", line);
    const file = new URL(`${snapshot}.txt`, SNAPSHOTS);
    if (UPDATE) await Deno.writeTextFile(file, stdout);
    assert.equal(stdout, await Deno.readTextFile(file), line);
    const wide = stdout.split("\n").filter((text) => [...text].length > 100);
    assert.deepEqual(wide, [], `too wide for a terminal: ${line}`);
  }
});

testEach("every exit code is in the help on them", async (program) => {
  const { stdout } = await flow(program, ["help", "exit-codes"]);
  for (const code of Object.values(EXIT_CODES)) {
    assert.match(stdout, new RegExp(`^  ${code} `, "m"));
  }
});

testEach("--version tells the version", async (program) => {
  const { code, stdout, stderr } = await flow(program, ["--version"]);
  assert.equal(code, 0);
  assert.equal(stderr, "");
  assert.match(stdout, /^flow \d+\.\d+\.\d+ \(deno \d+\.\d+\.\d+, \w+ \w+\)\n$/);
  assert(stdout.startsWith(`flow ${project.version} `));
});
