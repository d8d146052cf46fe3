/**
 * The whole test suite: `deno task test [ARGS…]`. Starts the services, makes the binary, runs the tests of src, tests
 * and scripts with the FLOW_TEST_… variables, and ends with one line: `N passed, N failed`, and `, N skipped` when
 * tests were skipped, which are then listed above it.
 *
 *     deno task test                                 everything, in two processes side by side
 *     deno task test src/core tests/tidy_test.ts     only these
 *     deno task test --filter watermark              further arguments go to `deno test`
 *     deno task test --no-services --no-binary src   quick: what needs the services or the binary is skipped
 *
 * A service that cannot be had here is named and its tests are skipped; with CI=true that is a failure, as is a
 * binary that cannot be made. A run in which no test ran has failed.
 */
import { compile } from "./compile.ts";
import { NoRuntime } from "./compile/runtime.ts";
import { startServices } from "./services.ts";
import { messageOf } from "./services/process.ts";
import { LineSplitter, type Outcome, readOutcome } from "./test/outcome.ts";

const ROOT = new URL("..", import.meta.url).pathname;
/** These run beside all other tests: the two take about as long, and each waits a good part of its time (for servers, brokers, processes). */
const FIRST_LANE = ["src", "scripts", "tests/batch", "tests/conformance", "tests/pipelines"];
const OTHER_TESTS = "tests";
const IN_CI = Deno.env.get("CI") === "true";

/** What was prepared for the tests. */
interface Prepared {
  readonly env: Readonly<Record<string, string>>;
  /** What is missing and must not be. */
  readonly failures: readonly string[];
  stop(): Promise<void>;
}

async function prepare(
  own: { readonly services: boolean; readonly binary: boolean },
): Promise<Prepared> {
  const env: Record<string, string> = {};
  const failures: string[] = [];
  const services = own.services ? await startServices() : undefined;
  Object.assign(env, services?.env);
  for (const { name, reason } of services?.unavailable ?? []) {
    loudly(`THE TESTS THAT NEED ${name.toUpperCase()} ARE SKIPPED: ${reason}`);
    if (IN_CI) failures.push(`service ${name}`);
  }
  if (own.binary) {
    try {
      env["FLOW_TEST_BINARY"] = (await compile()).path;
    } catch (error) {
      loudly(`THE TESTS THAT NEED THE BINARY ARE SKIPPED: ${messageOf(error)}`);
      if (IN_CI || !(error instanceof NoRuntime)) failures.push("the binary");
    }
  }
  return { env, failures, stop: () => services?.stop() ?? Promise.resolve() };
}

/** Runs the lanes side by side; what the first prints comes as it is printed, the others' output when it is their turn. */
async function runLanes(
  lanes: readonly (readonly string[])[],
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  let turn: Promise<unknown> = Promise.resolve();
  const running = lanes.map((args) => {
    const outcome = runTests(args, env, turn);
    turn = Promise.allSettled([turn, outcome]);
    return outcome;
  });
  const outcomes = await Promise.all(running);
  const sum = (count: (outcome: Outcome) => number) => outcomes.reduce((n, o) => n + count(o), 0);
  return {
    passed: sum(({ passed }) => passed),
    failed: sum(({ failed }) => failed),
    skipped: outcomes.flatMap(({ skipped }) => skipped),
  };
}

/** @param turn nothing is printed before it has settled */
async function runTests(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  turn: Promise<unknown>,
): Promise<Outcome> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", "--unstable-worker-options", ...args],
    cwd: ROOT,
    env: { ...env },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const pass = (signal: Deno.Signal) => () => child.kill(signal);
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, pass(signal));
  const lines = new LineSplitter();
  const held: Uint8Array[] = [];
  let isOurTurn = false;
  void turn.then(() => isOurTurn = true);
  const print = async () => {
    for (let chunk = held.shift(); chunk !== undefined; chunk = held.shift()) await writeAll(chunk);
  };
  for await (const chunk of child.stdout) {
    lines.push(chunk);
    held.push(chunk);
    if (isOurTurn) await print();
  }
  const status = await child.status;
  await turn;
  await print();
  return readOutcome(lines.end(), status.success);
}

async function main(args: readonly string[]): Promise<number> {
  const own = { services: !args.includes("--no-services"), binary: !args.includes("--no-binary") };
  const given = args.filter((arg) => arg !== "--no-services" && arg !== "--no-binary");
  const paths = await Promise.all(given.map((arg) => exists(ROOT + arg)));
  const lanes = paths.includes(true)
    ? [given]
    : (await allLanes()).map((places) => [...given, ...places]);
  const prepared = await prepare(own);
  let outcome: Outcome;
  try {
    outcome = await runLanes(lanes, prepared.env);
  } finally {
    await prepared.stop();
  }
  const { passed, skipped } = outcome;
  const failed = outcome.failed + prepared.failures.length;
  for (const name of skipped) loudly(`SKIPPED: ${name}`);
  for (const what of prepared.failures) loudly(`FAILED: ${what} cannot be had here`);
  const ran = passed + failed > 0;
  if (!ran) loudly("NO TEST RAN");
  console.log(
    `${passed} passed, ${failed} failed${
      skipped.length === 0 ? "" : `, ${skipped.length} skipped`
    }`,
  );
  return ran && failed === 0 ? 0 : 1;
}

async function allLanes(): Promise<string[][]> {
  const others: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(ROOT + OTHER_TESTS)) {
    const path = `${OTHER_TESTS}/${name}`;
    const hasTests = isDirectory || name.endsWith("_test.ts");
    if (hasTests && !FIRST_LANE.includes(path)) others.push(path);
  }
  const first = await Promise.all(FIRST_LANE.map(async (path) => await exists(ROOT + path)));
  return [FIRST_LANE.filter((_, at) => first[at]), others.sort()];
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function writeAll(bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
}

/** On stdout, so that it stands in order with the tests' output. */
function loudly(line: string): void {
  console.log(`!!! ${line}`);
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(messageOf(error));
    console.log("0 passed, 1 failed");
    Deno.exit(1);
  }
}
