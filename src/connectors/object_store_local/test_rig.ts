import * as v from "valibot";
import type { SourceBatch } from "../../core/batch.ts";
import { OffsetName } from "../../core/offset_name.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import type { Observation } from "../../core/observation.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import type { Engine, Session, SqlValue } from "../../core/session.ts";
import type { Sink } from "../../core/sink.ts";
import type { Source, SourceContext } from "../../core/source.ts";
import { createEngine } from "../../sql/engine.ts";
import { objectStoreLocalConnector } from "./connector.ts";

const START = new Date(Date.now() - 86_400_000);

/** A base directory and an engine for one test. */
export class FileRig {
  readonly base: string;
  readonly engine: Engine;
  readonly session: Session;
  readonly observed: Observation[] = [];

  private constructor(base: string, engine: Engine, session: Session) {
    this.base = base;
    this.engine = engine;
    this.session = session;
  }

  static async make(): Promise<FileRig> {
    const base = await Deno.makeTempDir({ prefix: "flow_test_" });
    await Deno.mkdir(`${base}/scratch`);
    await Deno.mkdir(`${base}/files`);
    const engine = await createEngine({ scratchDir: `${base}/scratch` });
    return new FileRig(`${base}/files`, engine, await engine.connect());
  }

  get notices(): string[] {
    return this.observed.flatMap((one) => one.kind === "notice" ? [one.message] : []);
  }

  async put(path: string, content: string | Uint8Array, append = false): Promise<void> {
    const folder = `${this.base}/${path}`.replace(/\/[^/]*$/, "");
    await Deno.mkdir(folder, { recursive: true });
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(`${this.base}/${path}`, bytes, { append });
  }

  /** Puts a file that has long been at rest: it is `minutes` younger than a day. */
  async putOld(path: string, content: string | Uint8Array, minutes = 0): Promise<void> {
    await this.put(path, content);
    const time = new Date(START.getTime() + minutes * 60_000);
    await Deno.utime(`${this.base}/${path}`, time, time);
  }

  async source(
    query: string,
    options: Record<string, unknown> = {},
    context: Partial<SourceContext> = {},
  ): Promise<Source> {
    const { connectionOptions, sourceOptions } = objectStoreLocalConnector;
    const schema = v.strictObject({ ...connectionOptions, ...sourceOptions });
    const source = objectStoreLocalConnector.createSource?.({
      sourceId: query,
      query,
      options: v.parse(schema, { path: this.base, poll_interval_ms: 5, ...options }),
    });
    if (source === undefined) throw new Error("no source");
    await source.open({
      pipeline: "p",
      engine: this.engine,
      clock: systemClock,
      observe: (observation) => this.observed.push(observation),
      untilEnd: true,
      wantedMetadata: new Set(),
      storedPositions: () => Promise.resolve([]),
      maxBatchBytes: 16 << 20,
      maxBatchRows: 100_000,
      maxBatchWaitMs: 50,
      ...context,
    }, new AbortController().signal);
    return source;
  }

  /** All batches of a source up to the end, which is closed. */
  async batches(source: Source): Promise<SourceBatch[]> {
    const batches: SourceBatch[] = [];
    try {
      for await (const batch of source.read(AbortSignal.timeout(20_000))) {
        if (batch !== undefined) batches.push(batch);
      }
    } finally {
      await source.close();
    }
    return batches;
  }

  /** Payload texts of a query's files. */
  async payloads(query: string, options: Record<string, unknown> = {}): Promise<string[]> {
    const texts: string[] = [];
    for (const batch of await this.batches(await this.source(query, options))) {
      const rows = await this.rows(`SELECT _payload AS p FROM ${batch.table} ORDER BY __flow_row`);
      texts.push(...rows.map((row) => String(row["p"])));
    }
    return texts;
  }

  async rows(sql: string): Promise<Record<string, SqlValue>[]> {
    return (await this.session.rows(sql)).map((row) => ({ ...row }));
  }

  /** User columns of a batch's table as `name TYPE`. */
  async columns(batch: SourceBatch): Promise<string[]> {
    const columns = await this.session.describe(
      `SELECT * EXCLUDE (_partition, _offset, _event_ts, __flow_row) FROM ${
        quoteIdentifier(batch.table)
      }`,
    );
    return columns.map(({ name, type }) => `${name} ${type}`);
  }

  async sink(options: Record<string, unknown>): Promise<Sink> {
    const { connectionOptions, targetOptions } = objectStoreLocalConnector;
    const schema = v.strictObject({ ...connectionOptions, ...targetOptions });
    const sink = objectStoreLocalConnector.createSink?.({
      options: v.parse(schema, { path: this.base, ...options }),
      mode: "append",
      keys: [],
      create: true,
    });
    if (sink === undefined) throw new Error("no sink");
    await sink.open({
      pipeline: "p",
      offsetName: OffsetName.ofOnly("p"),
      engine: this.engine,
      clock: systemClock,
      observe: (observation) => this.observed.push(observation),
      exactlyOnce: false,
    }, new AbortController().signal);
    return sink;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.close();
    await this.engine.close();
    await Deno.remove(this.base.replace(/\/files$/, ""), { recursive: true });
  }
}

/** A position without what tells the file that it is in. */
export function withoutSeal(position: string | undefined): string | undefined {
  return position?.split(";").slice(0, 2).join(";");
}

/** The machine's time, except that waiting takes none: it is added to the time. */
export function hastyClock(): Clock & { readonly waitedMs: number } {
  let waitedMs = 0;
  return {
    get waitedMs() {
      return waitedMs;
    },
    now: () => Date.now() + waitedMs,
    monotonic: () => performance.now() + waitedMs,
    sleep(durationMs, signal) {
      signal?.throwIfAborted();
      waitedMs += durationMs;
      return Promise.resolve();
    },
  };
}

/** A test with a rig of its own. */
export function fileTest(name: string, run: (rig: FileRig) => Promise<void>): void {
  Deno.test(`object_store_local: ${name}`, async () => {
    await using rig = await FileRig.make();
    await run(rig);
  });
}
