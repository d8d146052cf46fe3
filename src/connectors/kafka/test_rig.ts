import { CompressionTypes, type Message, Partitioners } from "kafkajs";
import { systemClock } from "../../core/clock.ts";
import type { SourceBatch } from "../../core/batch.ts";
import type { Observation } from "../../core/observation.ts";
import type { StoredOffset } from "../../core/offset.ts";
import type { MetadataColumn } from "../../core/schema.ts";
import type { Engine, Session } from "../../core/session.ts";
import type { SourceContext } from "../../core/source.ts";
import { createEngine } from "../../sql/engine.ts";
import { createClient, type KafkaClient } from "./client.ts";
import type { KafkaConnectionOptions } from "./options.ts";
import { KafkaSource } from "./source.ts";

/** Brokers of the tests' cluster; the tests that need them are skipped without. */
export const BROKERS: string | undefined = Deno.env.get("FLOW_TEST_KAFKA_BROKERS");

let topics = 0;

/** What one test against a real cluster uses, and cleans up. */
export class KafkaRig implements AsyncDisposable {
  readonly connection: KafkaConnectionOptions = { bootstrap_servers: BROKERS ?? "" };
  readonly engine: Engine;
  readonly session: Session;
  readonly observed: Observation[] = [];
  readonly #client: KafkaClient;
  readonly #scratchDir: string;
  readonly #closing: (() => Promise<void>)[] = [];

  private constructor(client: KafkaClient, engine: Engine, session: Session, scratchDir: string) {
    this.#client = client;
    this.engine = engine;
    this.session = session;
    this.#scratchDir = scratchDir;
  }

  static async create(): Promise<KafkaRig> {
    const client = await createClient({ bootstrap_servers: BROKERS ?? "" }, () => {});
    const scratchDir = await Deno.makeTempDir({ prefix: "flow-kafka-test-" });
    const engine = await createEngine({ scratchDir });
    return new KafkaRig(client, engine, await engine.connect(), scratchDir);
  }

  /** The notices so far. */
  get notices(): string[] {
    return this.observed.flatMap((one) => one.kind === "notice" ? [one.message] : []);
  }

  /** A name that no other test uses. */
  newName(): string {
    topics += 1;
    return `t-${Deno.pid}-${Date.now()}-${topics}`;
  }

  async createTopic(
    partitions: number,
    settings: Readonly<Record<string, string>> = {},
    topic: string = this.newName(),
  ): Promise<string> {
    await this.admin((admin) =>
      admin.createTopics({
        topics: [{
          topic,
          numPartitions: partitions,
          configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
        }],
      })
    );
    return topic;
  }

  async admin<Result>(
    ask: (admin: ReturnType<KafkaClient["kafka"]["admin"]>) => Promise<Result>,
  ): Promise<Result> {
    const admin = this.#client.kafka.admin();
    await admin.connect();
    try {
      return await ask(admin);
    } finally {
      await admin.disconnect();
    }
  }

  /** Removes the records below an offset of partition 0, as retention would. */
  async removeBelow(topic: string, offset: number): Promise<void> {
    await this.admin(async (admin) => {
      // kafkajs looks the partition's leader up in what it knows already.
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({
        topic,
        partitions: [{ partition: 0, offset: String(offset) }],
      });
    });
  }

  async produce(
    topic: string,
    messages: readonly Message[],
    compression = CompressionTypes.None,
  ): Promise<void> {
    const producer = this.producer();
    await producer.connect();
    await producer.send({ topic, messages: [...messages], compression });
    await producer.disconnect();
  }

  producer(transactionalId?: string): ReturnType<KafkaClient["kafka"]["producer"]> {
    return this.#client.kafka.producer({
      createPartitioner: Partitioners.DefaultPartitioner,
      ...(transactionalId === undefined
        ? {}
        : { transactionalId, idempotent: true, maxInFlightRequests: 1 }),
    });
  }

  /** An open source that is closed at the end of the test. */
  async open(
    topic: string,
    options: Readonly<Record<string, unknown>> = {},
    context: Partial<SourceContext> = {},
    sourceId: string = topic,
  ): Promise<KafkaSource> {
    const source = new KafkaSource({
      sourceId,
      query: topic,
      options: {
        ...this.connection,
        payload_format: "json",
        session_timeout_ms: 3_000,
        ...options,
      },
    });
    this.#closing.push(() => source.close());
    await source.open({
      pipeline: `p-${topic}`,
      engine: this.engine,
      clock: systemClock,
      observe: (observation) => this.observed.push(observation),
      untilEnd: true,
      wantedMetadata: new Set<MetadataColumn>(),
      storedPositions: () => Promise.resolve([]),
      maxBatchBytes: 1 << 20,
      maxBatchRows: 10_000,
      maxBatchWaitMs: 100,
      ...context,
    }, AbortSignal.timeout(60_000));
    return source;
  }

  /** The rows of a batch, whose table is dropped. */
  async rowsOf<Row = RawRow>(batch: SourceBatch): Promise<Row[]> {
    const rows = await this.session.rows<Row>(
      `SELECT * EXCLUDE (_undecodable), epoch_us(_event_ts) AS event_us FROM ${batch.table} ORDER BY __flow_row`,
    );
    await this.session.run(`DROP TABLE ${batch.table}`);
    return rows;
  }

  /** All rows up to the end of the source, with the positions behind them. */
  async readAll(source: KafkaSource): Promise<{ rows: RawRow[]; positions: StoredOffset[] }> {
    const rows: RawRow[] = [];
    const positions = new Map<string, StoredOffset>();
    for await (const batch of source.read(AbortSignal.timeout(60_000))) {
      if (batch === undefined) continue;
      rows.push(...await this.rowsOf(batch));
      for (const { sourceId, partition, to } of batch.ranges) {
        positions.set(partition, { sourceId, partition, position: to });
      }
    }
    return { rows, positions: [...positions.values()] };
  }

  /** The next batch with rows. */
  async nextBatch(
    batches: AsyncIterator<SourceBatch | undefined>,
  ): Promise<SourceBatch> {
    while (true) {
      const { value, done } = await batches.next();
      if (done) throw new Error("the source has ended");
      if (value !== undefined) return value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#closing.map((close) => close()));
    await this.session.close();
    await this.engine.close();
    await Deno.remove(this.#scratchDir, { recursive: true });
  }
}

/** A raw row as the engine gives it back. */
export interface RawRow {
  readonly _payload: string | null;
  readonly _partition: number;
  readonly _offset: bigint;
  readonly _key: string | null;
  readonly _headers: string | null;
  readonly event_us: bigint;
}

/** `count` messages with the JSON objects `{"id": 0}`, `{"id": 1}` … from `first` on. */
export function numbered(count: number, first = 0): Message[] {
  return Array.from({ length: count }, (_, at) => ({
    key: String(first + at),
    value: JSON.stringify({ id: first + at }),
  }));
}

/** The ids of {@link numbered} messages, ascending. */
export function idsOf(rows: readonly RawRow[]): number[] {
  return rows.map(({ _payload }) => JSON.parse(_payload ?? "{}").id as number).sort((a, b) =>
    a - b
  );
}

/** 0, 1, 2 … */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at);
}
