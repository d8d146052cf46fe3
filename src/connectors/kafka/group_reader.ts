import type { Consumer, ConsumerGroupJoinEvent, EachBatchPayload } from "kafkajs";
import type { Clock } from "../../core/clock.ts";
import type { StoredOffset } from "../../core/offset.ts";
import { connect, disconnect, type KafkaClient } from "./client.ts";
import { type Fetched, fetchedOf, OffsetLost } from "./fetch_response.ts";
import type { Intake, SeekTo, StartPosition } from "./intake.ts";
import { isRebalance, kafkaError } from "./kafka_error.ts";
import { rangeAssigner } from "./range_assigner.ts";

/** How a member of a consumer group reads. */
export interface GroupReaderOptions {
  readonly topic: string;
  readonly groupId: string;
  readonly sessionTimeoutMs: number;
  /** Upper bound of what one fetch brings. */
  readonly maxFetchBytes: number;
}

/** What the reader works with. */
export interface GroupReaderParts {
  readonly client: KafkaClient;
  readonly intake: Intake;
  readonly clock: Clock;
  /** Finds out where partitions start. May take a while; its failure ends the reader. */
  startPositions(partitions: readonly number[]): Promise<StartPosition[]>;
  /** Told whenever an assignment has been taken up. */
  onReading(): void;
}

/** A broker answers a fetch without data after this time. It is also the pause before a seek or the end of a pause is noticed. */
const FETCH_WAIT_MS = 100;
const REBALANCE_TIMEOUT_MS = 60_000;
const METADATA_MAX_AGE_MS = 60_000;
/** Without an answer of the brokers for so long the client is taken for dead. */
const STALLED_AFTER_MS = 30_000;
/** While the group is being shared out: longer than that may last. */
const JOIN_STALLED_AFTER_MS = REBALANCE_TIMEOUT_MS + STALLED_AFTER_MS;
const LOOK_FOR_STALL_EVERY_MS = 5_000;
/** After an end that nobody asked for the client tells its reason a moment later. */
const REASON_WITHIN_MS = 2_000;
const MAX_BYTES_PER_PARTITION = 2 * 1024 * 1024;

/**
 * One life of a kafkajs consumer: joins the group, positions what it is given, and lets the fetched record sets flow into the
 * {@link Intake}. Ends with an error as soon as the client stops by itself, whatever the reason; it never restarts or resets anything silently.
 */
export class GroupReader {
  readonly #options: GroupReaderOptions;
  readonly #parts: GroupReaderParts;
  readonly #consumer: Consumer;
  readonly #failed = Promise.withResolvers<never>();
  /** Aborted when this life ends; whatever waits then gives up. */
  readonly #over = new AbortController();
  #memberId: string | undefined;
  #assigned: ReadonlySet<number> = new Set();
  /** Counts assignments, to know positions that were found for an older one. */
  #assignments = 0;
  #running = false;
  #lastSignMs: number;
  #isJoining = true;

  constructor(options: GroupReaderOptions, parts: GroupReaderParts) {
    this.#options = options;
    this.#parts = parts;
    this.#lastSignMs = parts.clock.monotonic();
    // A failure may come while nobody waits for one.
    this.#failed.promise.catch(() => {});
    this.#consumer = parts.client.kafka.consumer({
      groupId: options.groupId,
      partitionAssigners: [rangeAssigner],
      sessionTimeout: options.sessionTimeoutMs,
      heartbeatInterval: this.#heartbeatMs,
      rebalanceTimeout: REBALANCE_TIMEOUT_MS,
      metadataMaxAge: METADATA_MAX_AGE_MS,
      allowAutoTopicCreation: false,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      maxBytes: options.maxFetchBytes,
      maxBytesPerPartition: Math.min(MAX_BYTES_PER_PARTITION, options.maxFetchBytes),
      retry: {
        initialRetryTime: 200,
        retries: 6,
        maxRetryTime: 3_000,
        restartOnFailure: () => Promise.resolve(false),
      },
    });
  }

  get #heartbeatMs(): number {
    return Math.max(200, Math.floor(this.#options.sessionTimeoutMs / 3));
  }

  /** Reads until the signal is aborted (then it returns, having left the group) or something fails (then it rejects). */
  async run(signal: AbortSignal): Promise<void> {
    const { client } = this.#parts;
    const { topic, groupId } = this.#options;
    const attempt = {
      doing: `read topic '${topic}' in group '${groupId}'`,
      brokers: client.brokers,
      details: { topic, group: groupId },
    };
    const stopped = Promise.withResolvers<void>();
    const onAbort = () => stopped.resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    this.#listen();
    try {
      await connect(this.#consumer, attempt, signal);
      await this.#consumer.subscribe({ topic });
      this.#running = true;
      await this.#consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: 1,
        eachBatch: (payload) => this.#eachBatch(payload),
      });
      await Promise.race([this.#failed.promise, stopped.promise, this.#watchForStall()]);
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof OffsetLost ? error : lostOffsetIn(error) ?? kafkaError(error, attempt);
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#running = false;
      this.#over.abort();
      await disconnect(this.#consumer);
    }
  }

  /** Moves the consumer to where the intake goes on. */
  seek(seeks: readonly SeekTo[]): void {
    if (!this.#running) return;
    for (const { partition, offset } of seeks) {
      this.#consumer.seek({ topic: this.#options.topic, partition, offset: String(offset) });
    }
  }

  /**
   * Commits positions of assigned partitions to the group.
   *
   * @returns false when that could not be because the group is being shared out anew, or the client is not connected
   */
  async commit(offsets: readonly StoredOffset[]): Promise<boolean> {
    const { topic } = this.#options;
    const own = offsets.filter(({ partition }) => this.#assigned.has(Number(partition)));
    if (!this.#running) return false;
    if (own.length === 0) return true;
    try {
      await this.#consumer.commitOffsets(own.map(({ partition, position }) => ({
        topic,
        partition: Number(partition),
        offset: String(Number(position)),
      })));
      return true;
    } catch (error) {
      if (isRebalance(error) || !this.#running) return false;
      throw kafkaError(error, {
        doing: `commit offsets of topic '${topic}' to group '${this.#options.groupId}'`,
        brokers: this.#parts.client.brokers,
        details: { topic, group: this.#options.groupId },
      });
    }
  }

  #listen(): void {
    const { events } = this.#consumer;
    const alive = () => {
      this.#lastSignMs = this.#parts.clock.monotonic();
    };
    this.#consumer.on(events.FETCH, alive);
    this.#consumer.on(events.HEARTBEAT, alive);
    this.#consumer.on(events.REBALANCING, () => {
      this.#isJoining = true;
    });
    this.#consumer.on(events.GROUP_JOIN, (event) => {
      alive();
      this.#isJoining = false;
      // The end of a life can take longer than is waited for.
      if (this.#running) this.#joined(event);
    });
    this.#consumer.on(events.CRASH, ({ payload }) => this.#failed.reject(payload.error));
    this.#consumer.on(events.STOP, () => {
      this.#running = false;
      // When the client fails, CRASH with the reason comes after this.
      const late = this.#parts.clock.sleep(REASON_WITHIN_MS, this.#over.signal);
      late.then(() => this.#failed.reject(new Error("the consumer stopped by itself")), () => {});
    });
  }

  /**
   * A new assignment. Partitions that stay keep their position as long as the membership has not changed: they have been ours all along. Nothing of
   * the others is fetched until it is known where they start.
   */
  #joined({ payload }: ConsumerGroupJoinEvent): void {
    const { topic } = this.#options;
    const { intake } = this.#parts;
    const partitions = (payload.memberAssignment[topic] ?? []).map(Number);
    const stays = payload.memberId === this.#memberId;
    this.#memberId = payload.memberId;
    this.#assigned = new Set(partitions);
    const { unknown, seeks } = intake.assign(partitions, stays);
    if (unknown.length > 0) this.#consumer.pause([{ topic, partitions: unknown }]);
    this.seek(seeks);
    this.#assignments += 1;
    const assignment = this.#assignments;
    if (unknown.length === 0) {
      this.#parts.onReading();
      return;
    }
    this.#position(unknown, assignment).catch((error) => {
      // The next assignment has asked anew.
      if (assignment === this.#assignments) this.#failed.reject(error);
    });
  }

  async #position(partitions: readonly number[], assignment: number): Promise<void> {
    const { topic } = this.#options;
    const positions = await this.#parts.startPositions(partitions);
    if (assignment !== this.#assignments || !this.#running) return;
    this.seek(this.#parts.intake.start(positions));
    this.#consumer.resume([{ topic, partitions: [...partitions] }]);
    this.#parts.onReading();
  }

  async #eachBatch({ batch, heartbeat, resolveOffset }: EachBatchPayload): Promise<void> {
    const { intake } = this.#parts;
    const { partition } = batch;
    const fetched = fetchedOf(batch);
    const expected = intake.expected(partition);
    if (fetched === undefined || expected === undefined || this.#over.signal.aborted) return;
    intake.sawHighWatermark(partition, fetched.highWatermark);
    if (fetched.from !== expected) {
      // Under way since before a seek.
      this.seek([{ partition, offset: expected }]);
      return;
    }
    if (fetched.records === undefined) {
      intake.sawHole(partition);
      return;
    }
    if (await this.#take(fetched, partition, heartbeat)) resolveOffset(fetched.lastOffset);
  }

  /** Puts the rows into the intake, waiting for room. Heartbeats go on meanwhile. @returns false when they are not wanted any more */
  async #take(
    { records }: Fetched,
    partition: number,
    heartbeat: () => Promise<void>,
  ): Promise<boolean> {
    const { intake, clock } = this.#parts;
    const { epoch } = intake;
    try {
      while (records !== undefined) {
        if (!intake.full && intake.append(records, partition)) return true;
        await intake.changed.wait(clock, this.#heartbeatMs, this.#over.signal);
        await heartbeat();
        if (intake.epoch !== epoch || this.#over.signal.aborted) return false;
      }
    } catch (error) {
      if (error instanceof Error && error.name.startsWith("KafkaJS")) throw error;
      // A corrupt batch will not be better at the next fetch.
      this.#failed.reject(error);
    }
    return false;
  }

  async #watchForStall(): Promise<never> {
    const { clock } = this.#parts;
    while (true) {
      await clock.sleep(LOOK_FOR_STALL_EVERY_MS, this.#over.signal);
      const silentMs = clock.monotonic() - this.#lastSignMs;
      if (silentMs > (this.#isJoining ? JOIN_STALLED_AFTER_MS : STALLED_AFTER_MS)) {
        throw new Error(`no answer from the brokers for ${Math.round(silentMs / 1000)} s`);
      }
    }
  }
}

function lostOffsetIn(thrown: unknown): OffsetLost | undefined {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if (error instanceof OffsetLost) return error;
    if (error.cause === error) return undefined;
  }
  return undefined;
}
