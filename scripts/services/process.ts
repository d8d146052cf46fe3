/**
 * Child processes that never outlive their parent, and the small waits around them.
 *
 * Each service runs under a guard: a shell that holds the read end of a pipe from this process. The pipe closes
 * when `stop()` is called, and also when this process ends in any other way (a signal, `kill -9`, an uncaught
 * error); the guard then ends the service by its process id and removes its data.
 */

/** A service under its guard. */
export interface Guarded {
  readonly pid: number;
  /** Settles with the exit code when the service and its guard are gone. */
  readonly exited: Promise<number>;
  stop(): Promise<void>;
}

/** What `startGuarded` needs. */
export interface GuardedOptions {
  readonly command: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** Receives everything the service prints. */
  readonly logFile: string;
  /** Removed after the service's end. */
  readonly dataDirectory: string;
  /** The signal that ends it in good order. */
  readonly stopSignal: "TERM" | "INT";
}

const GRACE_S = 15;

const GUARD = `
exec 3<&0 >>"$1" 2>&1
data=$2; signal=$3; grace=$4; shift 4
"$@" </dev/null 3<&- & child=$!
(
  cat <&3 >/dev/null
  kill -s "$signal" "$child" || exit 0
  left=$((grace * 10))
  while [ "$left" -gt 0 ] && kill -0 "$child"; do left=$((left - 1)); sleep 0.1; done
  kill -s KILL "$child"
) 2>/dev/null &
watcher=$!
wait "$child"; code=$?
kill "$watcher" 2>/dev/null
cd / && rm -rf -- "$data"
exit "$code"
`;

/** Keeps the pipes from being collected, which would close them and stop the services. */
const alive = new Set<Deno.ChildProcess>();

/** Starts a service that ends with this process. Does not keep this process alive. */
export function startGuarded(options: GuardedOptions): Guarded {
  const { command, logFile, dataDirectory, stopSignal } = options;
  const child = new Deno.Command("sh", {
    args: ["-c", GUARD, "guard", logFile, dataDirectory, stopSignal, String(GRACE_S), ...command],
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
    cwd: dataDirectory,
    stdin: "piped",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn();
  child.unref();
  alive.add(child);
  const exited = child.status.then((status) => {
    alive.delete(child);
    return status.code;
  });
  return {
    pid: child.pid,
    exited,
    async stop(): Promise<void> {
      child.ref();
      await child.stdin.close().catch(() => {});
      await exited;
    },
  };
}

/** Output of a finished program. */
export interface Finished {
  readonly ok: boolean;
  readonly stdout: string;
  /** What to show when it failed: the last lines of stderr, or of stdout when there is none. */
  readonly complaint: string;
}

/** What `run` takes besides the command. */
export interface RunOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/** Runs a program to its end. A program that is not there, or that takes too long, is a failed one. */
export async function run(
  command: readonly [string, ...string[]],
  options: RunOptions = {},
): Promise<Finished> {
  const [program, ...args] = command;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args,
      stdin: options.stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      ...(options.env === undefined ? {} : { env: { ...options.env } }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      signal: AbortSignal.timeout(options.timeoutMs ?? 120_000),
    }).spawn();
  } catch (error) {
    return { ok: false, stdout: "", complaint: `${program}: ${messageOf(error)}` };
  }
  if (options.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.stdin)).catch(() => {});
    await writer.close().catch(() => {});
  }
  const output = await child.output();
  const stdout = new TextDecoder().decode(output.stdout);
  const stderr = new TextDecoder().decode(output.stderr);
  const shown = lastLines(stderr.trim() === "" ? stdout : stderr, 12);
  return {
    ok: output.success,
    stdout,
    complaint: `${program} ended with code ${output.code}: ${shown}`,
  };
}

/** The full path of a program on PATH, if it is there. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    const path = `${folder}/${name}`;
    if (folder !== "" && await isFile(path)) return path;
  }
  return undefined;
}

/** Whether `path` is a file (links are followed). */
export async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}

/**
 * Different TCP ports that nothing listens on now. They lie below the range from which systems take the local
 * ports of outgoing connections, so that such a connection does not take one before the service does.
 */
export function freePorts(count: number): number[] {
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries++) {
    if (tries > 1000) throw new Error(`found no ${count} free TCP ports between 20000 and 32000`);
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (ports.includes(port)) continue;
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      ports.push(port);
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  return ports;
}

/** What `waitUntilReady` watches. */
export interface ReadyOptions {
  readonly what: string;
  readonly service: Guarded;
  readonly logFile: string;
  readonly deadlineMs: number;
  /** Whether it answers now; an exception counts as no. */
  readonly check: () => Promise<boolean>;
}

/** Polls until the service answers; throws with the end of its log when it falls or the deadline passes. */
export async function waitUntilReady(options: ReadyOptions): Promise<void> {
  const { what, service, logFile, deadlineMs, check } = options;
  const started = performance.now();
  let code: number | undefined;
  service.exited.then((found) => code = found);
  let lastError = "";
  while (performance.now() - started < deadlineMs) {
    if (code !== undefined) {
      throw new Error(
        `${what} ended with code ${code} while starting:\n${await endOfLog(logFile)}`,
      );
    }
    try {
      if (await check()) return;
    } catch (error) {
      lastError = messageOf(error);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await service.stop();
  throw new Error(
    `${what} did not answer within ${deadlineMs / 1000} s (${lastError}):\n${await endOfLog(
      logFile,
    )}`,
  );
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function lastLines(text: string, count: number): string {
  return text.trim().split("\n").slice(-count).join("\n");
}

async function endOfLog(logFile: string): Promise<string> {
  try {
    return lastLines(await Deno.readTextFile(logFile), 20);
  } catch {
    return `(no log at ${logFile})`;
  }
}
