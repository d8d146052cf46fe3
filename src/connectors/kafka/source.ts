import type { SourceBatch } from "../../core/batch.ts";
import type { SourceRequest } from "../../core/connector.ts";
import { FlowError } from "../../core/error.ts";
import type { StoredOffset } from "../../core/offset.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import type { Source, SourceContext, SourceTraits } from "../../core/source.ts";
import { createClient, type KafkaClient, topicPlace, withAdmin } from "./client.ts";
import { OffsetLost } from "./fetch_response.ts";
import { GroupReader } from "./group_reader.ts";
import { Intake, type StartPosition } from "./intake.ts";
import type { KafkaSourceOptions } from "./options.ts";
import { outOfRange, startPosition } from "./start_positions.ts";
import { type PartitionBounds, topicBounds } from "./topic.ts";

/** `undefined` is yielded after this long without rows. */
const IDLE_MS = 500;
/** A consumer that failed is made anew for this long before the run fails. */
const RESTART_WITHIN_MS = 30_000;
/** A broker that takes longer to answer a reader is as good as away. */
const REQUEST_TIMEOUT_MS = 10_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 3_000;
const SMALLEST_FETCH_BYTES = 1024 * 1024;
/** A response is held about three times while it comes in: in the socket's pieces, as a whole, and the one before. */
const LARGEST_FETCH_BYTES = 2 * 1024 * 1024;

/**
 * Rows of one topic, read as a member of a consumer group. Positions come from the target where it keeps them, else from the group; they
 * are committed to the group in any case, so that tools that watch its lag see it.
 */
export class KafkaSource implements Source {
  readonly sourceId: string;
  readonly traits: SourceTraits = { seekable: true, ends: true, storesPositions: true };
  readonly #topic: string;
  readonly #options: KafkaSourceOptions;
  readonly #closing = new AbortController();
  /** Kept across failures of a commit, so that the next one makes up for it. */
  readonly #uncommitted = new Map<string, StoredOffset>();
  #opened: Opened | undefined;
  #reader: GroupReader | undefined;
  #failure: { readonly error: unknown } | undefined;
  #supervising: Promise<void> | undefined;

  constructor(request: SourceRequest) {
    this.sourceId = request.sourceId;
    this.#topic = topicOf(request.query);
    // Validated by the connector's own entries.
    this.#options = request.options as KafkaSourceOptions;
  }

  reads(place: string): boolean {
    return place === topicPlace(this.#options, this.#topic);
  }

  async open(context: SourceContext, signal: AbortSignal): Promise<void> {
    const notice = (message: string) =>
      context.observe({ kind: "notice", pipeline: context.pipeline, message });
    const client = await createClient(this.#options, notice, REQUEST_TIMEOUT_MS);
    const ends = await topicBounds(client, this.#topic, {
      mayAppear: !context.untilEnd,
      clock: context.clock,
      signal,
    });
    const wanted = {
      keys: context.wantedMetadata.has("_key"),
      headers: context.wantedMetadata.has("_headers"),
    };
    const limits = { maxRows: context.maxBatchRows, maxBytes: context.maxBatchBytes };
    this.#opened = {
      context,
      client,
      notice,
      groupId: this.#groupId(context.pipeline),
      ends: new Map([...ends].map(([partition, { low, high }]) => [
        partition,
        low === high ? 0 : high,
      ])),
      knownPartitions: new Set(ends.keys()),
      intake: new Intake(this.sourceId, context.clock, limits, wanted),
      session: await context.engine.connect(),
    };
    this.#supervising = this.#supervise(this.#opened);
  }

  /**
   * One group per source: a topic that a pipeline reads twice (`orders`, `orders#2`) must not be shared out between the two. Different
   * topics may share a group, since every topic is shared out among its own readers.
   */
  #groupId(pipeline: string): string {
    const group = this.#options.group_id ?? pipeline;
    return this.sourceId.startsWith(this.#topic)
      ? group + this.sourceId.slice(this.#topic.length)
      : group;
  }

  async *read(signal: AbortSignal): AsyncIterable<SourceBatch | undefined> {
    const { context, intake, ends } = this.#open;
    const { clock, maxBatchWaitMs, untilEnd } = context;
    const over = AbortSignal.any([signal, this.#closing.signal]);
    let idleSince = clock.monotonic();
    while (!over.aborted) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const { ageMs } = intake;
      const ended = untilEnd && intake.hasReached(ends);
      if (ageMs === undefined) {
        if (ended && await this.#othersHaveReached()) return;
        const idleMs = clock.monotonic() - idleSince;
        if (idleMs < IDLE_MS) {
          await intake.changed.wait(clock, IDLE_MS - idleMs, over);
          continue;
        }
        yield undefined;
        idleSince = clock.monotonic();
      } else if (intake.full || ended || ageMs >= maxBatchWaitMs) {
        const batch = await this.#nextBatch();
        if (batch === undefined) continue;
        yield batch;
        idleSince = clock.monotonic();
      } else {
        await intake.changed.wait(clock, maxBatchWaitMs - ageMs, over);
      }
    }
  }

  /** True when those partitions that other members of the group read have been read to the end too, as far as the group knows. */
  async #othersHaveReached(): Promise<boolean> {
    const { ends, intake, client, groupId } = this.#open;
    const others = [...ends].filter(([partition, end]) => end > 0 && !intake.owns(partition));
    if (others.length === 0) return true;
    const committed = await this.#committed(client, groupId);
    return others.every(([partition, end]) => (committed.get(partition) ?? 0) >= end);
  }

  async #nextBatch(): Promise<SourceBatch | undefined> {
    const { context, intake, session } = this.#open;
    const { engine } = context;
    const encoding = this.#options.payload_format;
    const table = engine.newName("raw");
    const { rows, ranges, bytes, lagRows } = intake.take();
    const { count } = rows;
    await engine.ingestPayloads(session, table, rows, encoding === "json" ? "text" : "bytes");
    if (!intake.handOver()) {
      await session.run(`DROP TABLE ${quoteIdentifier(table)}`);
      return undefined;
    }
    return { sourceId: this.sourceId, table, encoding, rows: count, bytes, ranges, lagRows };
  }

  async acknowledge(offsets: readonly StoredOffset[]): Promise<void> {
    for (const offset of offsets) this.#uncommitted.set(offset.partition, offset);
    const pending = [...this.#uncommitted.values()];
    if (await this.#reader?.commit(pending) !== true) return;
    for (const offset of pending) {
      if (this.#uncommitted.get(offset.partition) === offset) {
        this.#uncommitted.delete(offset.partition);
      }
    }
  }

  seek(offsets: readonly StoredOffset[]): Promise<void> {
    const seeks = this.#open.intake.seek(
      offsets.map(({ partition, position }) => ({ partition: Number(partition), position })),
    );
    this.#reader?.seek(seeks);
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#supervising;
    await this.#opened?.session.close();
    this.#opened = undefined;
  }

  get #open(): Opened {
    if (this.#opened !== undefined) return this.#opened;
    throw new FlowError(`the source '${this.sourceId}' is not open`, {
      code: "source_not_open",
      domain: "internal",
    });
  }

  /** Keeps a consumer alive: makes a new one when it fails, for a bounded time, and then fails the run. */
  async #supervise(opened: Opened): Promise<void> {
    const { context, notice, intake } = opened;
    const { clock } = context;
    let pauseMs = FIRST_PAUSE_MS;
    let failingSince: number | undefined;
    const onReading = () => {
      failingSince = undefined;
      pauseMs = FIRST_PAUSE_MS;
    };
    while (!this.#closing.signal.aborted) {
      try {
        await this.#live(opened, onReading);
      } catch (thrown) {
        const error = thrown instanceof OffsetLost
          ? await this.#offsetLost(opened, thrown).catch((failure) => failure)
          : thrown;
        failingSince ??= clock.monotonic();
        const mayRetry = error === undefined || (error instanceof FlowError &&
          (error.retryable || error.code === "kafka_unknown_topic") &&
          clock.monotonic() - failingSince < RESTART_WITHIN_MS);
        if (!mayRetry) {
          this.#failure = { error };
          intake.changed.notify();
          return;
        }
        intake.unassign();
        if (error !== undefined) notice(`${error.message}; trying again`);
        await clock.sleep(pauseMs, this.#closing.signal).catch(() => {});
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      }
    }
  }

  async #live(opened: Opened, onReading: () => void): Promise<void> {
    const { context, intake, notice, groupId } = opened;
    const client = await createClient(this.#options, notice, REQUEST_TIMEOUT_MS);
    const maxFetchBytes = Math.min(
      LARGEST_FETCH_BYTES,
      Math.max(SMALLEST_FETCH_BYTES, Math.floor(context.maxBatchBytes / 4)),
    );
    const reader = new GroupReader({
      topic: this.#topic,
      groupId,
      sessionTimeoutMs: this.#options.session_timeout_ms,
      maxFetchBytes,
    }, {
      client,
      intake,
      clock: context.clock,
      startPositions: (partitions) => this.#startPositions(opened, partitions),
      onReading,
    });
    this.#reader = reader;
    try {
      await reader.run(this.#closing.signal);
    } finally {
      this.#reader = undefined;
    }
  }

  async #startPositions(
    { context, client, groupId, knownPartitions, notice }: Opened,
    partitions: readonly number[],
  ): Promise<StartPosition[]> {
    const stored = await context.storedPositions(
      partitions.map((partition) => ({ sourceId: this.sourceId, partition: String(partition) })),
    );
    const bounds = await this.#bounds();
    const committed = context.targetsKeepPositions === true
      ? new Map<number, number>()
      : await this.#committed(client, groupId);
    const rules = {
      topic: this.#topic,
      reset: this.#options.auto_offset_reset,
      knownPartitions,
      notice,
    };
    return partitions.map((partition) =>
      startPosition({
        partition,
        bounds: bounds.get(partition) ?? { low: 0, high: 0 },
        stored: stored.find((one) => Number(one.partition) === partition),
        committed: committed.get(partition),
      }, rules)
    );
  }

  async #bounds(): Promise<ReadonlyMap<number, PartitionBounds>> {
    const { client, context } = this.#open;
    return await topicBounds(client, this.#topic, {
      mayAppear: false,
      clock: context.clock,
      signal: this.#closing.signal,
    });
  }

  async #committed(client: KafkaClient, groupId: string): Promise<ReadonlyMap<number, number>> {
    const attempt = {
      doing: `read the offsets of group '${groupId}'`,
      brokers: client.brokers,
      details: { topic: this.#topic, group: groupId },
    };
    const answers = await withAdmin(
      client,
      attempt,
      this.#closing.signal,
      (admin) => admin.fetchOffsets({ groupId, topics: [this.#topic] }),
    );
    const committed = new Map<number, number>();
    for (const { partition, offset } of answers.flatMap((answer) => answer.partitions)) {
      if (Number(offset) >= 0) committed.set(partition, Number(offset));
    }
    return committed;
  }

  /** The position was lost while reading. With a rule of the user's for that, reading starts anew, and by that rule. */
  async #offsetLost(
    opened: Opened,
    { partition, offset }: OffsetLost,
  ): Promise<FlowError | undefined> {
    if (this.#options.auto_offset_reset !== undefined) return undefined;
    const bounds = await this.#bounds();
    opened.intake.discard();
    return outOfRange(this.#topic, partition, offset, bounds.get(partition));
  }
}

/** All that exists between `open` and `close`. */
interface Opened {
  readonly context: SourceContext;
  readonly client: KafkaClient;
  readonly notice: (message: string) => void;
  readonly groupId: string;
  /** Where the partitions ended at the start; 0 for those that had nothing. */
  readonly ends: ReadonlyMap<number, number>;
  readonly knownPartitions: ReadonlySet<number>;
  readonly intake: Intake;
  readonly session: Session;
}

function topicOf(query: string): string {
  const topic = query.trim();
  if (/^[a-zA-Z0-9._-]{1,249}$/.test(topic)) return topic;
  throw new FlowError(`cannot read topic '${query}': that is not the name of a topic`, {
    code: "kafka_query_invalid",
    domain: "user",
    hint: topic.includes(",") || topic.startsWith("/")
      ? "a Kafka source reads one topic: write one [[sources]] block per topic"
      : "a topic's name has letters, digits, '.', '_' and '-'",
    details: { query },
  });
}
