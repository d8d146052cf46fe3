/** Runs the `flow` program as a shell would: from source, and as the compiled binary where FLOW_TEST_BINARY names one. */

const ROOT = new URL("../../", import.meta.url).pathname;
const DEADLINE_MS = 30_000;

/** One way to start the program. */
export interface Program {
  readonly name: "source" | "binary";
  readonly command: string;
  readonly prefix: readonly string[];
}

const SOURCE: Program = {
  name: "source",
  command: Deno.execPath(),
  prefix: ["run", "--allow-all", "--unstable-worker-options", "--no-check", `${ROOT}main.ts`],
};

/** What the program sees, so that connections of whoever runs the tests do not get into them. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: Deno.env.get("PATH") ?? "",
  HOME: "/nonexistent",
  NO_COLOR: "1",
  DENO_DIR: await denoDirectory(),
};

const BINARY_PATH = Deno.env.get("FLOW_TEST_BINARY");

/** The same tests run over all of them. */
export const PROGRAMS: readonly Program[] = [
  SOURCE,
  ...(BINARY_PATH === undefined
    ? []
    : [{ name: "binary", command: BINARY_PATH, prefix: [] } as const]),
];

/** Registers a test for every program. */
export function testEach(name: string, test: (program: Program) => Promise<void>): void {
  for (const program of PROGRAMS) Deno.test(`cli (${program.name}): ${name}`, () => test(program));
}

/** What a program that has ended left behind. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a program is started. */
export interface StartOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs the program to its end. */
export async function flow(
  program: Program,
  args: readonly string[],
  options: StartOptions = {},
): Promise<Ended> {
  return await new RunningFlow(program, args, options).ended();
}

/** A program that is running, with what it has printed so far. */
export class RunningFlow {
  readonly #child: Deno.ChildProcess;
  readonly #stdout: Promise<void>;
  readonly #stderr: Promise<void>;
  readonly #texts = { stdout: "", stderr: "" };
  readonly #line: string;
  #wake: () => void = () => {};
  #isEnded = false;

  /** @param closed a stream that nobody reads from the beginning */
  constructor(
    program: Program,
    args: readonly string[],
    options: StartOptions = {},
    closed?: "stdout" | "stderr",
  ) {
    this.#line = `flow ${args.join(" ")}`;
    this.#child = new Deno.Command(program.command, {
      args: [...program.prefix, ...args],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      clearEnv: true,
      env: { ...ENVIRONMENT, ...options.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stdout = closed === "stdout" ? this.#child.stdout.cancel() : this.#collect("stdout");
    this.#stderr = closed === "stderr" ? this.#child.stderr.cancel() : this.#collect("stderr");
  }

  /** Waits until standard error has a match; fails when the program ends before, or takes too long. */
  async saw(pattern: RegExp): Promise<RegExpExecArray> {
    return await this.until(`stderr to match ${pattern}`, () => {
      return pattern.exec(this.#texts.stderr) ?? undefined;
    });
  }

  /** Waits until `look` gives something; looks again at every output, and every 50 ms. */
  async until<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
    const deadline = performance.now() + DEADLINE_MS;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      if (this.#isEnded || performance.now() > deadline) {
        if (!this.#isEnded) this.signal("SIGKILL");
        const why = this.#isEnded ? "it ended" : "too much time passed";
        throw new Error(
          `waited for ${what}, but ${why}: ${this.#line}\n${this.#texts.stderr}${this.#texts.stdout}`,
        );
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 50);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits for the end; kills the program and fails when that takes too long. */
  async ended(): Promise<Ended> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.signal("SIGKILL");
    }, DEADLINE_MS);
    const { code } = await this.#child.status;
    clearTimeout(timer);
    await Promise.all([this.#stdout, this.#stderr]);
    if (late) throw new Error(`it did not end: ${this.#line}\n${this.#texts.stderr}`);
    return { code, ...this.#texts };
  }

  async #collect(stream: "stdout" | "stderr"): Promise<void> {
    for await (const text of this.#child[stream].pipeThrough(new TextDecoderStream())) {
      this.#texts[stream] += text;
      this.#wake();
    }
    this.#isEnded = true;
    this.#wake();
  }
}

/** A new directory with files, removed after `work`. */
export async function inDirectory(
  files: Readonly<Record<string, string>>,
  work: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "flow-cli-" });
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${directory}/${name}`, text);
    }
    await work(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Where Deno keeps its caches, which otherwise is below HOME. */
async function denoDirectory(): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), { args: ["info", "--json"], stdin: "null" });
  const { stdout } = await command.output();
  const { denoDir } = JSON.parse(new TextDecoder().decode(stdout)) as { readonly denoDir: string };
  return denoDir;
}
