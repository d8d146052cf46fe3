/**
 * Benchmarks: `deno task bench NAME [ARGS…]`. Each prints one JSON line per case on stdout:
 * `{case, rows, seconds, rowsPerS, referenceRowsPerS, ratio, peakRssMb, …}`, where the reference is a hand-written way of doing the same,
 * measured in the same run on the same rows. What it is doing goes to stderr.
 *
 *     deno task bench kafka-postgres [--rows 2000000] [--only CASE]
 *     deno task bench batch [--rows 1000000] [--only CASE]
 */
import { batch } from "./bench/batch.ts";
import { kafkaPostgres } from "./bench/kafka_postgres.ts";

const BENCHMARKS: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  batch,
  "kafka-postgres": kafkaPostgres,
};

if (import.meta.main) {
  const [name = "", ...args] = Deno.args;
  const benchmark = BENCHMARKS[name];
  if (benchmark === undefined) {
    console.error(
      `no benchmark is called '${name}'; there are: ${Object.keys(BENCHMARKS).join(", ")}`,
    );
    Deno.exit(2);
  }
  await benchmark(args);
}
