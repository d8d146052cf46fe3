import { type Batch, ROW_COLUMN, type SourceBatch } from "../core/batch.ts";
import type { Clock } from "../core/clock.ts";
import type { Decoded, Decoder } from "../core/decoder.ts";
import type { Observe } from "../core/observation.ts";
import {
  type Column,
  isMetadataColumn,
  METADATA_COLUMNS,
  type MetadataColumn,
  quoteIdentifier,
} from "../core/schema.ts";
import type { Engine, Session } from "../core/session.ts";
import type { Source } from "../core/source.ts";
import type { PlannedTarget, StreamPlan } from "../plan/plan.ts";
import { type Refusal, rejectAction } from "./dead_letters.ts";
import { SqlTransform } from "./transform.ts";

/** A batch that is ready to be written: decoded and transformed. Owns all its tables. */
export interface PreparedEpoch {
  readonly source: SourceBatch;
  readonly parts: readonly Batch[];
  readonly refusals: readonly Refusal[];
  /** Tables to drop when the epoch is over, beside those of the source, the parts and the refusals. */
  readonly temporary: readonly string[];
  readonly stageMs: Readonly<Record<string, number>>;
}

/** What preparing needs from the run. */
export interface PrepareContext {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly observe: Observe;
  createDecoder(
    batch: SourceBatch,
    source: number,
    preferred: readonly Column[] | undefined,
  ): Decoder;
}

/** Decodes and transforms batches, one after the other, on a session of its own. */
export class BatchPreparer {
  readonly #plan: StreamPlan;
  readonly #context: PrepareContext;
  readonly #session: Session;
  readonly #transform: SqlTransform | undefined;
  readonly #decoders = new Map<number, Decoder>();
  /** Columns seen per source, where a source is typed or decoded. */
  readonly #seen = new Map<number, readonly Column[]>();
  readonly #watermarks = new Map<string, bigint>();
  readonly #targetColumns = new Map<PlannedTarget, readonly Column[]>();
  readonly #asked: ReadonlySet<string>;
  wantedMetadata: ReadonlySet<MetadataColumn> = new Set();

  constructor(plan: StreamPlan, context: PrepareContext, session: Session) {
    this.#plan = plan;
    this.#context = context;
    this.#session = session;
    const sql = plan.spec.transformSql;
    this.#asked = new Set(METADATA_COLUMNS.filter((name) => mentions(plan, name)));
    this.#transform = sql === undefined ? undefined : new SqlTransform(
      context.engine,
      session,
      sql,
      {
        otherColumns: () => [...this.#seen.values()].flat(),
        mayMiss: () => plan.sources.length > this.#seen.size,
        keepsOthers: rejectAction(
          "transform",
          plan.spec.transformOnError,
          plan.deadLetters !== undefined,
        ) !== "fail",
      },
    );
  }

  /** Looks at the targets once they are open: their columns decide which metadata is wanted, and what decoders aim at. */
  async open(): Promise<void> {
    for (const target of this.#plan.targets) {
      this.#targetColumns.set(target, await target.sink.columns() ?? []);
    }
    const inTargets = new Set([...this.#targetColumns.values()].flat().map(({ name }) => name));
    this.wantedMetadata = new Set(
      METADATA_COLUMNS.filter((name) =>
        this.#asked.has(name) || inTargets.has(name) ||
        // A dead letter carries the key of its message.
        (name === "_key" && this.#plan.deadLetters !== undefined)
      ),
    );
  }

  /**
   * Decodes and transforms a batch, and takes over its table. An error of it ends the run, and the engine with it, so nothing is dropped then.
   */
  async prepare(batch: SourceBatch, source: Source): Promise<PreparedEpoch> {
    const { clock, observe } = this.#context;
    const index = this.#plan.sources.findIndex((planned) => planned.source === source);
    const startedAt = clock.monotonic();
    await this.#observeBatch(batch);
    const decoded = await this.#decode(batch, index);
    const decodedAt = clock.monotonic();
    if (decoded.schemaChange !== undefined) {
      observe({
        kind: "plan_changed",
        pipeline: this.#plan.spec.name,
        reason: decoded.schemaChange,
      });
    }
    const refusals: Refusal[] = [];
    if (decoded.rejected !== undefined) {
      refusals.push({ stage: "decode", rejected: decoded.rejected, source: batch });
    }
    if (batch.unreadable !== undefined) {
      const { table, count } = batch.unreadable;
      refusals.push({
        stage: "decode",
        rejected: { table, count, by: "row_number" },
        source: batch,
        unreadable: true,
      });
    }
    if (this.#transform === undefined) {
      return {
        source: batch,
        parts: decoded.parts,
        refusals,
        temporary: [],
        stageMs: { decode: decodedAt - startedAt },
      };
    }
    const parts: Batch[] = [];
    for (const part of decoded.parts) {
      if (part.rows === 0) continue;
      const { batch: transformed, rejected } = await this.#transform.apply(part);
      parts.push(transformed);
      if (rejected !== undefined) refusals.push({ stage: "transform", rejected, source: batch });
    }
    return {
      source: batch,
      parts,
      refusals,
      temporary: decoded.parts.map((part) => part.table),
      stageMs: { decode: decodedAt - startedAt, transform: clock.monotonic() - decodedAt },
    };
  }

  /** The part as the target gets it: all user columns, and the metadata that was asked for by name or that its table has. */
  forTarget(part: Batch, target: PlannedTarget): Batch {
    const own = new Set((this.#targetColumns.get(target) ?? []).map(({ name }) => name));
    const columns = part.columns.filter(({ name }) =>
      !isMetadataColumn(name) || this.#asked.has(name) || own.has(name)
    );
    return columns.length === part.columns.length ? part : { ...part, columns };
  }

  /** Drops the tables of an epoch that is over. */
  async release(epoch: PreparedEpoch): Promise<void> {
    await this.#drop([
      epoch.source.table,
      ...epoch.parts.map((part) => part.table),
      ...epoch.temporary,
      ...epoch.refusals.map(({ rejected }) => rejected.table),
    ]);
  }

  async #drop(tables: readonly string[]): Promise<void> {
    const statements = [...new Set(tables)].map((name) =>
      `DROP TABLE IF EXISTS ${quoteIdentifier(name)};`
    );
    if (statements.length > 0) await this.#session.run(statements.join(" "));
  }

  async #decode(batch: SourceBatch, index: number): Promise<Decoded> {
    if (batch.encoding === "columns") {
      const columns = await this.#columnsOf(batch.table);
      const own = columns.filter(({ name }) => !isMetadataColumn(name));
      // A batch of refusals alone (a file that cannot be read) says nothing about the columns.
      if (own.length > 0 || batch.rows > 0) this.#seen.set(index, own);
      return {
        parts: [{ table: batch.table, columns, hasRowColumn: true, rows: batch.rows }],
      };
    }
    let decoder = this.#decoders.get(index);
    if (decoder === undefined) {
      decoder = this.#context.createDecoder(batch, index, this.#preferredColumns());
      this.#decoders.set(index, decoder);
    }
    const decoded = await decoder.decode(this.#session, batch);
    this.#seen.set(index, decoder.columns);
    const parts: Batch[] = [];
    for (const part of decoded.parts) {
      const metadata = (await this.#columnsOf(part.table)).filter(({ name }) =>
        isMetadataColumn(name) && part.columns.every((column) => column.name !== name)
      );
      // Metadata is offered beside the user's columns; `forTarget` decides what is written.
      parts.push({ ...part, columns: [...part.columns, ...metadata] });
    }
    return { ...decoded, parts };
  }

  async #columnsOf(table: string): Promise<Column[]> {
    const columns = await this.#session.describe(`SELECT * FROM ${quoteIdentifier(table)}`);
    return columns.filter(({ name }) => name !== ROW_COLUMN);
  }

  /** Without a transform, fields arrive in the target's columns: their types are what the decoder aims at. */
  #preferredColumns(): readonly Column[] | undefined {
    if (this.#transform !== undefined) return undefined;
    return [...this.#targetColumns.values()].find((columns) => columns.length > 0);
  }

  async #observeBatch(batch: SourceBatch): Promise<void> {
    const { observe } = this.#context;
    const pipeline = this.#plan.spec.name;
    if (batch.lagRows !== undefined) {
      observe({ kind: "lag", pipeline, sourceId: batch.sourceId, rows: batch.lagRows });
    }
    const newest = await this.#session.rows<{ micros: bigint | null }>(
      `SELECT epoch_us(max(_event_ts)) AS micros FROM ${quoteIdentifier(batch.table)}`,
    );
    const micros = newest[0]?.micros ?? null;
    const before = this.#watermarks.get(batch.sourceId);
    if (micros === null || (before !== undefined && micros <= before)) return;
    this.#watermarks.set(batch.sourceId, micros);
    observe({ kind: "watermark", pipeline, sourceId: batch.sourceId, micros: Number(micros) });
  }
}

/** True when the statement names the column, or a target option does (a message key). */
function mentions(plan: StreamPlan, name: string): boolean {
  const texts = [
    plan.spec.transformSql ?? "",
    ...plan.targets.flatMap(({ spec }) => Object.values(spec.options).map(String)),
  ];
  return texts.some((text) => new RegExp(`(?<![A-Za-z0-9_])${name}(?![A-Za-z0-9_])`).test(text));
}
