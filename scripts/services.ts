/**
 * Real services for tests and benchmarks: Kafka, PostgreSQL, MariaDB, and whatever `services/catalog.ts` lists.
 *
 *     deno run -A scripts/services.ts up [--durable] [NAMES…]             starts, prints `export NAME=value` lines, stays
 *     deno run -A scripts/services.ts run [--durable] [NAMES…] -- CMD …   starts, runs CMD with the variables, stops
 *     deno run -A scripts/services.ts list                                what there is
 *
 * `up` also writes the variables to `.services/env`, stops everything on SIGTERM or SIGINT, and ends with an error
 * when a service falls. `run` ends with the command's exit code. Without names, all services are meant.
 * `--durable` (for benchmarks) lets databases sync to disk; by default they do not, which is quicker.
 *
 * From code: `const services = await startServices({ only: ["kafka"] }); services.env; await services.stop()`.
 *
 * Each service is looked for in this order:
 *   (a) a running one, named by its variable (FLOW_TEST_KAFKA_BROKERS, FLOW_TEST_POSTGRES_URL …): used as it is,
 *       with the other FLOW_TEST_<SERVICE>_… variables that are set, and never stopped;
 *   (b) Docker, where a daemon answers: the official image;
 *   (c) local packages: those found, else those that can be installed (apt as root, Maven, npm), kept in the
 *       per-user cache folder `flow-services`;
 *   (d) else it is unavailable: the reason is reported, and callers skip what needs it, loudly.
 *
 * Everything started here ends with this process, however that ends. Output goes to `.services/NAME-PID.log`.
 */
import { CATALOG } from "./services/catalog.ts";
import { findProgram, messageOf, run } from "./services/process.ts";
import { type Running, type ServiceDefinition, Unavailable } from "./services/service.ts";

/** What to start, and how. */
export interface StartServicesOptions {
  /** Names from the catalog; all when missing. */
  readonly only?: readonly string[];
  /** Databases sync to disk, as a benchmark must. Default false. */
  readonly durable?: boolean;
  /** Receives one line per event. Default: stderr. */
  readonly say?: (line: string) => void;
}

/** Started services. */
export interface Services {
  /** FLOW_TEST_… variables of every service that is there. */
  readonly env: Readonly<Record<string, string>>;
  /** Each service that is there, and how it was had. */
  readonly started: readonly { readonly name: string; readonly how: string }[];
  /** Each service that cannot be had here, and why. */
  readonly unavailable: readonly { readonly name: string; readonly reason: string }[];
  /** Settles with its name when a service ends. */
  readonly fallen: Promise<string>;
  /** Stops what was started here, and waits for it. May be called twice. */
  stop(): Promise<void>;
}

const FOLDER = new URL("../.services/", import.meta.url).pathname;
const OLD_LOG_MS = 24 * 3600 * 1000;

/**
 * Starts the services side by side and returns when all answer.
 * One that cannot be had is listed in `unavailable`; one that was begun and failed makes the call fail.
 */
export async function startServices(options: StartServicesOptions = {}): Promise<Services> {
  const say = options.say ?? ((line: string) => console.error(`services: ${line}`));
  const wanted = choose(options.only);
  await prepareFolder();
  const started: { name: string; how: string }[] = [];
  const unavailable: { name: string; reason: string }[] = [];
  const running: Running[] = [];
  const env: Record<string, string> = {};
  const failures: Error[] = [];
  const fallen = Promise.withResolvers<string>();
  await Promise.all(wanted.map(async (definition) => {
    const { name } = definition;
    try {
      const service = await startOne(
        definition,
        options.durable ?? false,
        (line) => say(`${name}: ${line}`),
      );
      running.push(service);
      service.exited.then(() => fallen.resolve(name));
      Object.assign(env, service.env);
      started.push({ name, how: service.how });
      say(`${name}: ready (${service.how})`);
    } catch (error) {
      if (error instanceof Unavailable) {
        unavailable.push({ name, reason: error.message });
        say(`${name}: UNAVAILABLE: ${error.message}`);
      } else {
        failures.push(
          new Error(`${name} could not be started: ${messageOf(error)}`, { cause: error }),
        );
      }
    }
  }));
  const stop = async () => {
    await Promise.all(running.map((service) => service.stop()));
  };
  const [failure] = failures;
  if (failure !== undefined) {
    await stop();
    throw failures.length === 1
      ? failure
      : new AggregateError(failures, failures.map((f) => f.message).join("\n"));
  }
  return { env, started, unavailable, fallen: fallen.promise, stop };
}

async function startOne(
  definition: ServiceDefinition,
  durable: boolean,
  say: (line: string) => void,
): Promise<Running> {
  const given = variablesThatAreSet(definition);
  if (given !== undefined) {
    return {
      env: given,
      how: `the running one that ${definition.variables[0]} names`,
      exited: new Promise(() => {}),
      stop: () => Promise.resolve(),
    };
  }
  const context = { durable, say, logFile: `${FOLDER}${definition.name}-${Deno.pid}.log` };
  return await dockerAnswers() ? await definition.docker(context) : await definition.local(context);
}

function variablesThatAreSet({ variables }: ServiceDefinition): Record<string, string> | undefined {
  if ((Deno.env.get(variables[0]) ?? "") === "") return undefined;
  const set: Record<string, string> = {};
  for (const name of variables) {
    const value = Deno.env.get(name);
    if (value !== undefined) set[name] = value;
  }
  return set;
}

function choose(only: readonly string[] | undefined): readonly ServiceDefinition[] {
  if (only === undefined || only.length === 0) return CATALOG;
  return only.map((name) => {
    const found = CATALOG.find((definition) => definition.name === name);
    if (found !== undefined) return found;
    const names = CATALOG.map((definition) => definition.name).join(", ");
    throw new Error(`no service is called "${name}"; there are: ${names}`);
  });
}

let dockerAnswer: Promise<boolean> | undefined;

function dockerAnswers(): Promise<boolean> {
  dockerAnswer ??= (async () => {
    if (await findProgram("docker") === undefined) return false;
    return (await run(["docker", "info"], { timeoutMs: 5_000 })).ok;
  })();
  return dockerAnswer;
}

async function prepareFolder(): Promise<void> {
  await Deno.mkdir(FOLDER, { recursive: true });
  for await (const entry of Deno.readDir(FOLDER)) {
    const path = `${FOLDER}${entry.name}`;
    const modified = entry.name.endsWith(".log") ? (await Deno.stat(path)).mtime : null;
    if (modified !== null && Date.now() - modified.getTime() > OLD_LOG_MS) await Deno.remove(path);
  }
}

/** Resolves at the first SIGTERM or SIGINT, which then do not end this process. */
function untilSignal(): Promise<Deno.Signal> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      Deno.addSignalListener(signal, () => resolve(signal));
    }
  });
}

async function up(names: readonly string[], durable: boolean): Promise<number> {
  const signal = untilSignal();
  const services = await startServices({ only: names, durable });
  const envFile = `${FOLDER}env`;
  const lines = Object.entries(services.env);
  await Deno.writeTextFile(envFile, lines.map(([name, value]) => `${name}=${value}\n`).join(""));
  for (const [name, value] of lines) {
    console.log(`export ${name}='${value.replaceAll("'", "'\\''")}'`);
  }
  const end = await Promise.race([signal, services.fallen.then((name) => ({ name }))]);
  if (typeof end !== "string") {
    console.error(`services: ${end.name} has ended by itself; stopping the others`);
  }
  await services.stop();
  await Deno.remove(envFile).catch(() => {});
  return typeof end === "string" && services.unavailable.length === 0 ? 0 : 1;
}

async function runCommand(
  names: readonly string[],
  durable: boolean,
  command: readonly string[],
): Promise<number> {
  const [program, ...args] = command;
  if (program === undefined) throw new Error("services run needs a command after --");
  const signal = untilSignal();
  const starting = startServices({ only: names, durable });
  const services = await Promise.race([starting, signal]);
  if (typeof services === "string") return 130;
  try {
    const child = new Deno.Command(program, { args, env: { ...services.env } }).spawn();
    signal.then((name) => child.kill(name)).catch(() => {});
    return (await child.status).code;
  } finally {
    await services.stop();
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const [verb, ...rest] = argv;
  const separator = rest.indexOf("--");
  const own = separator < 0 ? rest : rest.slice(0, separator);
  const durable = own.includes("--durable");
  const names = own.filter((word) => word !== "--durable");
  if (verb === "up") return await up(names, durable);
  if (verb === "run") {
    return await runCommand(names, durable, separator < 0 ? [] : rest.slice(separator + 1));
  }
  if (verb === "list") {
    for (const { name, variables } of CATALOG) console.log(`${name}\t${variables.join(" ")}`);
    return 0;
  }
  console.error(
    "usage: services.ts up [--durable] [NAMES…] | run [--durable] [NAMES…] -- COMMAND … | list",
  );
  return 2;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(`services: ${messageOf(error)}`);
    Deno.exit(1);
  }
}
