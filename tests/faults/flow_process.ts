/** Runs flow as a user would, for tests that stop it in every way. */

/** What tests on the program need; `undefined` where it cannot be had. */
export const BINARY: string | undefined = Deno.env.get("FLOW_TEST_BINARY");
export const BROKERS: string | undefined = Deno.env.get("FLOW_TEST_KAFKA_BROKERS");
export const POSTGRES_URL: string | undefined = Deno.env.get("FLOW_TEST_POSTGRES_URL");

/** What a `flow consume` that ended by itself printed. */
export interface ConsumeResult {
  readonly code: number;
  readonly summary: Readonly<Record<string, unknown>>;
  readonly stderr: string;
}

/** The compiled binary, working on one definition. */
export class FlowProcess {
  readonly #child: Deno.ChildProcess;
  readonly #metricsPort: number;
  readonly #output: Promise<Deno.CommandOutput>;

  /** Starts `flow consume` of the TOML file, with a metrics port to look at. */
  constructor(toml: string, args: readonly string[] = [], env: Record<string, string> = {}) {
    this.#metricsPort = freePort();
    this.#child = new Deno.Command(required(BINARY, "FLOW_TEST_BINARY"), {
      args: ["consume", toml, "--metrics-port", String(this.#metricsPort), ...args],
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#output = this.#child.output();
  }

  /** Waits until at least `rows` rows were written by this process; fails when it ends before, or after `timeoutMs`. */
  async written(rows: number, timeoutMs = 60_000): Promise<void> {
    let ended = false;
    this.#output.then(() => ended = true);
    const deadline = performance.now() + timeoutMs;
    while (performance.now() < deadline) {
      if (ended) {
        const { stderr } = await this.#output;
        throw new Error(`flow ended before it had written ${rows} rows: ${text(stderr)}`);
      }
      if (await this.#metric("ematix_streaming_rows_written_total") >= rows) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.kill();
    const { stderr } = await this.#output;
    throw new Error(`flow did not write ${rows} rows in ${timeoutMs} ms: ${text(stderr)}`);
  }

  /** `kill -9`, and waits until it is gone. */
  async kill(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It ended by itself in the meantime.
    }
    await this.#output;
  }

  terminate(): void {
    this.#child.kill("SIGTERM");
  }

  /** Waits for the end. */
  async ended(): Promise<
    { readonly code: number; readonly stdout: string; readonly stderr: string }
  > {
    const { code, stdout, stderr } = await this.#output;
    return { code, stdout: text(stdout), stderr: text(stderr) };
  }

  async #metric(name: string): Promise<number> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#metricsPort}/metrics`);
      const line = new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, "m").exec(await response.text());
      return Number(line?.[1] ?? 0);
    } catch {
      // Not listening yet.
      return 0;
    }
  }
}

/** Runs `flow consume … --until-end` to its end and gives its summary. */
export async function consumeToEnd(
  toml: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<ConsumeResult> {
  const process = new FlowProcess(toml, ["--until-end", "--format", "json", ...args], env);
  const { code, stdout, stderr } = await process.ended();
  const line = stdout.trim().split("\n").at(-1) ?? "";
  return {
    code,
    summary: line.startsWith("{") ? JSON.parse(line) as Record<string, unknown> : {},
    stderr,
  };
}

/** A port that was free a moment ago. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** The value, or an error that names what is missing. */
export function required(value: string | undefined, name: string): string {
  if (value === undefined) throw new Error(`${name} is not set: run the tests by deno task test`);
  return value;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
