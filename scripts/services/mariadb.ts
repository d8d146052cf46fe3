/**
 * MariaDB: from Debian's package (installed by apt where that is allowed), or Docker's official image.
 * One user `flow` with all rights on everything (tests make databases of their own), and one database `flow`.
 */
import { serverAccount } from "./account.ts";
import { aptInstall } from "./packages.ts";
import {
  findProgram,
  freePorts,
  type Guarded,
  isFile,
  run,
  startGuarded,
  waitUntilReady,
} from "./process.ts";
import { type Running, type ServiceDefinition, type StartContext, Unavailable } from "./service.ts";

const USER = "flow";
const DATABASE = "flow";
const PASSWORD = "flow-test-secret";
const IMAGE = "mariadb:11";
const READY_WITHIN_MS = 90_000;

/** One statement a line, as the server's `init-file` wants them. Only sessions over TCP are needed. */
const PREPARE = [
  `CREATE DATABASE IF NOT EXISTS ${DATABASE} CHARACTER SET utf8mb4`,
  `CREATE USER IF NOT EXISTS '${USER}'@'%' IDENTIFIED BY '${PASSWORD}'`,
  `GRANT ALL ON *.* TO '${USER}'@'%' WITH GRANT OPTION`,
].map((statement) => `${statement};\n`).join("");

export const mariadb: ServiceDefinition = {
  name: "mariadb",
  variables: ["FLOW_TEST_MYSQL_URL"],
  docker: startInDocker,
  local: startLocally,
};

async function startLocally(context: StartContext): Promise<Running> {
  const server = await findServer(context.say);
  const account = await serverAccount("MariaDB", "mysql");
  const directory = await Deno.makeTempDir({ prefix: "flow-mariadb-" });
  try {
    const [port] = freePorts(1) as [number];
    await Deno.writeTextFile(`${directory}/prepare.sql`, PREPARE);
    if (account !== undefined) await Deno.chown(directory, account.uid, account.gid);
    const owner = account === undefined ? [] : [`--user=${account.name}`];
    const data = `--datadir=${directory}/data`;
    const made = await run([
      "mariadb-install-db",
      ...["--no-defaults", data, ...owner, "--skip-test-db"],
      "--auth-root-authentication-method=normal",
    ]);
    if (!made.ok) throw new Error(`the data folder could not be made: ${made.complaint}`);
    const service = startGuarded({
      command: [
        server,
        ...["--no-defaults", data, ...owner, `--port=${port}`],
        ...["--bind-address=127.0.0.1", `--socket=${directory}/socket`],
        ...[`--pid-file=${directory}/pid`, `--init-file=${directory}/prepare.sql`],
        ...settings(context),
      ],
      logFile: context.logFile,
      dataDirectory: directory,
      stopSignal: "TERM",
    });
    const version = (await run([server, "--no-defaults", "--version"])).stdout.trim()
      .replace(/^\S+\s+/, "");
    return await becomeReady(service, port, context, `local packages, MariaDB ${version}`);
  } catch (error) {
    await Deno.remove(directory, { recursive: true }).catch(() => {});
    throw error;
  }
}

async function startInDocker(context: StartContext): Promise<Running> {
  const [port] = freePorts(1) as [number];
  const directory = await Deno.makeTempDir({ prefix: "flow-mariadb-" });
  const prepare = `${directory}/prepare.sql`;
  await Deno.writeTextFile(prepare, PREPARE);
  await Deno.chmod(directory, 0o755);
  const service = startGuarded({
    command: [
      "docker",
      ...["run", "--rm", "--init", "-p", `127.0.0.1:${port}:3306`],
      ...["-v", `${prepare}:/docker-entrypoint-initdb.d/prepare.sql:ro`],
      ...["-e", "MARIADB_ROOT_PASSWORD", IMAGE, ...settings(context)],
    ],
    env: { MARIADB_ROOT_PASSWORD: PASSWORD },
    logFile: context.logFile,
    dataDirectory: directory,
    stopSignal: "TERM",
  });
  return await becomeReady(service, port, context, `Docker, ${IMAGE}`);
}

function settings({ durable }: StartContext): string[] {
  const values = durable
    ? ["--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=256M"]
    : [
      "--innodb-flush-log-at-trx-commit=0",
      "--innodb-flush-method=nosync",
      "--innodb-doublewrite=0",
      "--innodb-buffer-pool-size=64M",
    ];
  return ["--max-connections=200", "--local-infile=1", "--skip-name-resolve", ...values];
}

/** The server's program; installs the package when there is none. */
async function findServer(say: (line: string) => void): Promise<string> {
  const there = await debianServer();
  if (there !== undefined) return there;
  const refusal = await aptInstall(["mariadb-server"], say);
  const installed = await debianServer();
  if (installed !== undefined) return installed;
  throw new Unavailable(`no MariaDB: ${refusal}`);
}

async function debianServer(): Promise<string | undefined> {
  if (await findProgram("mariadb-install-db") === undefined) return undefined;
  const found = await findProgram("mariadbd");
  if (found !== undefined) return found;
  return await isFile("/usr/sbin/mariadbd") ? "/usr/sbin/mariadbd" : undefined;
}

async function becomeReady(
  service: Guarded,
  port: number,
  { logFile }: StartContext,
  how: string,
): Promise<Running> {
  await waitUntilReady({
    what: "MariaDB",
    service,
    logFile,
    deadlineMs: READY_WITHIN_MS,
    check: () => greets(port),
  });
  return {
    env: { FLOW_TEST_MYSQL_URL: `mysql://${USER}:${PASSWORD}@127.0.0.1:${port}/${DATABASE}` },
    how,
    exited: service.exited.then(() => {}),
    stop: () => service.stop(),
  };
}

/** Whether the server sends the greeting of protocol 10, which it does after the init file has run. */
async function greets(port: number): Promise<boolean> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const greeting = new Uint8Array(64);
  const length = await connection.read(greeting);
  return length !== null && length > 4 && greeting[4] === 10;
}
