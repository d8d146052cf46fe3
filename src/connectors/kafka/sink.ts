import type { Batch, RejectedRows } from "../../core/batch.ts";
import { ROW_COLUMN } from "../../core/batch.ts";
import type { SinkRequest } from "../../core/connector.ts";
import { FlowError } from "../../core/error.ts";
import type { StoredOffset } from "../../core/offset.ts";
import { quoteIdentifier, type TargetColumn } from "../../core/schema.ts";
import type { Engine, Session } from "../../core/session.ts";
import type { Sink, SinkContext, SinkTraits } from "../../core/sink.ts";
import { jsonRow } from "../../formats/json_text.ts";
import { exportedRows } from "./exported_rows.ts";
import { createClient, topicPlace } from "./client.ts";
import type { KafkaTargetOptions } from "./options.ts";
import { TopicProducer } from "./producer.ts";
import { ensureTopic } from "./topic.ts";

/** Rows that are refused are noted in the engine in pieces of this many. */
const REJECTED_PIECE = 1000;

/** A row that the broker refused. */
interface RefusedRow {
  readonly reason: string;
  /** Its row number, or the row itself as JSON. */
  readonly row: string;
}

/**
 * Writes every row as a JSON object to a topic. Not transactional: rows are there once {@link write} has returned, and twice after a
 * failure in between.
 */
export class KafkaSink implements Sink {
  readonly targetId: string;
  readonly place: string;
  readonly traits: SinkTraits = {
    transactional: false,
    modes: ["append"],
    hasSchema: false,
    keepsText: true,
  };
  readonly #topic: string;
  readonly #options: KafkaTargetOptions;
  readonly #create: boolean;
  #engine: Engine | undefined;
  #producer: TopicProducer<string> | undefined;
  #refused: RefusedRow[] = [];

  constructor(request: SinkRequest) {
    // Validated by the connector's own entries.
    this.#options = request.options as KafkaTargetOptions;
    const topic = this.#options.topic ?? request.table?.name;
    if (topic === undefined) {
      throw new FlowError("cannot write to Kafka: the target names no topic", {
        code: "kafka_target_topic_missing",
        domain: "user",
        hint: 'set topic = "…" in [target]',
      });
    }
    this.#topic = topic;
    this.#create = request.create;
    this.targetId = `kafka:${topic}`;
    this.place = topicPlace(this.#options, topic);
  }

  async open(context: SinkContext, signal: AbortSignal): Promise<void> {
    const client = await createClient(
      this.#options,
      (message) => context.observe({ kind: "notice", pipeline: context.pipeline, message }),
    );
    await ensureTopic(client, this.#topic, this.#create, signal);
    this.#engine = context.engine;
    this.#producer = new TopicProducer(
      client,
      this.#topic,
      this.#options.compression,
      (row, bytes) =>
        this.#refused.push({
          row,
          reason:
            `the message of ${bytes} bytes is too large for topic '${this.#topic}' (max.message.bytes)`,
        }),
    );
    await this.#producer.connect(signal);
  }

  columns(): Promise<readonly TargetColumn[] | undefined> {
    return Promise.resolve(undefined);
  }

  storedOffsets(): Promise<readonly StoredOffset[]> {
    return Promise.resolve([]);
  }

  begin(): Promise<void> {
    this.#refused = [];
    return Promise.resolve();
  }

  async write(
    batch: Batch,
    session: Session,
    signal: AbortSignal,
  ): Promise<RejectedRows | undefined> {
    const producer = this.#producer;
    if (producer === undefined || this.#engine === undefined) throw this.#notOpen();
    this.#refused = [];
    try {
      const exported = session.exportText(this.#query(batch), "ndjson");
      for await (const { row, key, value } of exportedRows(exported)) {
        signal.throwIfAborted();
        await producer.add({
          message: { key, value },
          tag: batch.hasRowColumn ? row : value.toString(),
        });
      }
      await producer.flush();
    } finally {
      producer.clear();
    }
    return await this.#rejected(session, this.#engine, batch.hasRowColumn);
  }

  #query(batch: Batch): string {
    const keyColumn = this.#options.message_key_column;
    if (keyColumn !== undefined && !batch.columns.some(({ name }) => name === keyColumn)) {
      const names = batch.columns.map(({ name }) => name).join(", ");
      throw new FlowError(
        `cannot write to topic '${this.#topic}': the rows have no column '${keyColumn}' for the message key`,
        {
          code: "target_column_unknown",
          domain: "user",
          hint: `set message_key_column to one of: ${names}`,
          details: { column: keyColumn },
        },
      );
    }
    const row = batch.hasRowColumn ? `${ROW_COLUMN}::VARCHAR` : "''";
    const key = keyColumn === undefined
      ? "''"
      : `coalesce(to_json(${quoteIdentifier(keyColumn)}::VARCHAR)::VARCHAR, '')`;
    return `SELECT ${row} || chr(9) || ${key} || chr(9) || ${jsonLine(batch)} AS line ` +
      `FROM ${quoteIdentifier(batch.table)}`;
  }

  async #rejected(
    session: Session,
    engine: Engine,
    byNumber: boolean,
  ): Promise<RejectedRows | undefined> {
    const refused = this.#refused;
    this.#refused = [];
    if (refused.length === 0) return undefined;
    const table = engine.newName("rejected");
    const column = byNumber ? `${ROW_COLUMN} BIGINT` : "_row_json VARCHAR";
    await session.run(`CREATE TABLE ${quoteIdentifier(table)} (_error VARCHAR, ${column})`);
    for (let from = 0; from < refused.length; from += REJECTED_PIECE) {
      const piece = refused.slice(from, from + REJECTED_PIECE);
      const values = piece.map((_, at) => `($${2 * at + 1}, $${2 * at + 2})`).join(", ");
      await session.run(
        `INSERT INTO ${quoteIdentifier(table)} VALUES ${values}`,
        piece.flatMap(({ reason, row }) => [reason, byNumber ? BigInt(row) : row]),
      );
    }
    return { table, count: refused.length, by: byNumber ? "row_number" : "row_json" };
  }

  commit(): Promise<void> {
    return Promise.resolve();
  }

  abort(): Promise<void> {
    this.#refused = [];
    return Promise.resolve();
  }

  async close(): Promise<void> {
    await this.#producer?.close();
    this.#producer = undefined;
  }

  #notOpen(): FlowError {
    return new FlowError(`the target '${this.targetId}' is not open`, {
      code: "sink_not_open",
      domain: "internal",
    });
  }
}

/** The row as JSON on one line. Raw line ends can only come from JSON columns, where they mean no more than a space. */
function jsonLine({ columns }: Batch): string {
  const json = jsonRow(columns);
  return columns.some(({ type }) => type.includes("JSON"))
    ? `translate(${json}, chr(10) || chr(13), '  ')`
    : json;
}
