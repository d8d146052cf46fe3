/** Runs a program and measures it from outside. */

/** What a run took. */
export interface Measured {
  readonly seconds: number;
  readonly peakRssMb: number;
  /** Resident memory over the run, a sample each tenth of a second (MiB). */
  readonly rssMb: readonly number[];
  readonly stdout: string;
}

const SAMPLE_MS = 100;

/** Runs the command to its end; fails when it does. */
export async function measure(command: string, args: readonly string[]): Promise<Measured> {
  const startedAt = performance.now();
  const child = new Deno.Command(command, { args: [...args], stdout: "piped", stderr: "piped" })
    .spawn();
  const rssMb: number[] = [];
  let peakRssMb = 0;
  const sampler = setInterval(() => {
    const status = readStatus(child.pid);
    rssMb.push(status.rssMb);
    peakRssMb = Math.max(peakRssMb, status.peakMb);
  }, SAMPLE_MS);
  const output = await child.output();
  clearInterval(sampler);
  const seconds = (performance.now() - startedAt) / 1000;
  const stdout = new TextDecoder().decode(output.stdout);
  if (!output.success) {
    throw new Error(
      `${command} ended with ${output.code}: ${new TextDecoder().decode(output.stderr)}${stdout}`,
    );
  }
  return { seconds, peakRssMb: Math.round(peakRssMb), rssMb, stdout };
}

function readStatus(pid: number): { rssMb: number; peakMb: number } {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const kib = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
    return { rssMb: kib("VmRSS") / 1024, peakMb: kib("VmHWM") / 1024 };
  } catch {
    // Ended between two samples, or a system without /proc.
    return { rssMb: 0, peakMb: 0 };
  }
}
