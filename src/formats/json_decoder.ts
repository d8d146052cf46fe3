import type { Batch, SourceBatch } from "../core/batch.ts";
import type { Decoded, Decoder, DecoderHints } from "../core/decoder.ts";
import { type Column, quoteIdentifier } from "../core/schema.ts";
import type { Session } from "../core/session.ts";
import { type Attempt, attempt, dropAttempt, fittingRows } from "./json_attempt.ts";
import { REASON_COLUMN, textsQuery } from "./json_general.ts";
import { type FieldHint, grow, type GrowthRules } from "./json_growth.ts";
import {
  isHiddenKey,
  type JsonNode,
  type JsonSchema,
  MISFIT_COLUMN,
  nodeKey,
  OK_COLUMN,
  schemaColumns,
} from "./json_node.ts";
import { observe } from "./json_observation.ts";
import { oddParts } from "./json_odd_rows.ts";
import { hasDoubleKey, isDeclaredMisfit, misfitFields, refuse } from "./json_refusal.ts";
import { Scratch } from "./json_scratch.ts";
import { TargetNames } from "./json_target_names.ts";
import { declaredType } from "./json_declared_type.ts";

/** Times that a batch is decoded anew because its own rows have taught the decoder a better schema. */
const MAX_LESSONS = 2;
/** Rows of the first batch from which the schema is learned before the whole of it is decoded. */
const FIRST_SAMPLE_ROWS = 2048;
/** Rows that are asked for the order of their keys. */
const SHAPE_SAMPLE_ROWS = 4096;
/** Below this part of a batch's rows the quick way is not worth its time … */
const MIN_FAST_SHARE = 0.25;
/** … and rests for so many batches, unless the keys have another order meanwhile. */
const FAST_REST_BATCHES = 8;

/**
 * A decoder of JSON objects, one per row, into typed columns.
 *
 * - A row that is not strictly JSON (RFC 8259), not an object, not UTF-8 or empty, or that has a key twice at its top level, is rejected. A row
 *   without payload (a Kafka tombstone) gives no row and no rejection.
 * - Types are found from all rows of each batch. Integers are BIGINT, longer ones DECIMAL(38,0); what is written with a fraction or an exponent
 *   (and -0) is DOUBLE where its shortest text is the same number, else DECIMAL(38,s); what no such type holds keeps its text in a VARCHAR.
 * - Objects are STRUCTs (JSON above 100 keys, with keys that differ in case only, and with keys that never end growing), lists are LISTs
 *   (JSON when mixed). An object or list that has only been seen empty is JSON, a field that has only been null is VARCHAR, until there is
 *   more to know. Numbers in JSON columns keep their value to the last digit, not always their spelling (`1.50` may become `1.5`).
 * - New fields (up to 1000 in all; rows with more are rejected) and wider numbers change the schema. Rows with another kind of value (text
 *   for number …) come as a part of their own, until most rows have the new kind. An object inside of which a key stands twice is such a
 *   row as well: JSON, as it is.
 * - A value that is not exactly of a declared type rejects its row.
 * - A column is called as its key. Of names that differ in case only the second gets `_1`; the empty key is `_`. The payload's `_event_ts`
 *   replaces the source's where it is an ISO-8601 time with zone, or an integer of milliseconds (below 10^14) or microseconds since the
 *   epoch; payload fields called as other metadata columns, or as ROW_COLUMN, are not shown.
 *
 * @throws FlowError `type_text_invalid` (user) when a declared type cannot be read.
 */
export function createJsonDecoder(hints: DecoderHints): Decoder {
  return new JsonDecoder(hints);
}

class JsonDecoder implements Decoder {
  readonly #inferTimes: boolean;
  readonly #target: TargetNames;
  /** Begins the numbers that are kept from the parser. Random, so that no payload holds it. */
  readonly #tag = `#${crypto.randomUUID().replaceAll("-", "")}#`;
  #schema: JsonSchema;
  /** The keys of most rows, in the payload's order. */
  #shape: readonly string[] | undefined;
  #restBatches = 0;

  constructor(hints: DecoderHints) {
    this.#inferTimes = hints.inferTimes;
    this.#target = new TargetNames(hints.preferred ?? []);
    this.#schema = (hints.declared ?? []).map((column) =>
      isHiddenKey(column.name)
        ? { key: column.name, column: "", node: this.#hint(column.name).node }
        : {
          key: column.name,
          column: column.name,
          node: { kind: "declared", type: declaredType(column) },
        }
    );
  }

  get columns(): readonly Column[] {
    return schemaColumns(this.#schema);
  }

  async decode(session: Session, batch: SourceBatch): Promise<Decoded> {
    if (batch.rows === 0) return { parts: [] };
    const scratch = new Scratch(session, batch.table);
    const before = this.columns;
    try {
      const decoded = await this.#decode(scratch, batch);
      for (const part of decoded.parts) scratch.handOut(part.table);
      if (decoded.rejected !== undefined) scratch.handOut(decoded.rejected.table);
      await scratch.dropAll();
      const schemaChange = describeChange(before, this.columns);
      return schemaChange === undefined ? decoded : { ...decoded, schemaChange };
    } catch (error) {
      // A session that is closed cannot drop anything; what went wrong first is what counts.
      await scratch.dropAll().catch(() => {});
      throw error;
    }
  }

  async #decode(scratch: Scratch, batch: SourceBatch): Promise<Decoded> {
    if (this.#shape === undefined && batch.rows > FIRST_SAMPLE_ROWS) {
      await this.#learnFromSample(scratch, batch);
    }
    const tried = await this.#decodeAndLearn(scratch, batch);
    const parts: Batch[] = [];
    const { table, rows } = await fittingRows(scratch, tried);
    const columns = schemaColumns(tried.schema);
    if (rows > 0) parts.push({ table, columns, hasRowColumn: true, rows });
    if (tried.slow === undefined) return { parts };
    const { rejected, odd } = await refuse(scratch, batch, tried.schema, tried.slow);
    if (odd !== undefined) {
      parts.push(
        ...await oddParts(scratch, tried.schema, tried.slow, odd, (key) => this.#hint(key)),
      );
    }
    await this.#learnShape(scratch.session, batch, tried);
    return { parts, ...(rejected === undefined ? {} : { rejected }) };
  }

  /**
   * Learning is an order of magnitude slower than decoding: with a schema from the first rows, most of a first batch already goes
   * the quick way, and its other rows teach what is left.
   */
  async #learnFromSample(scratch: Scratch, batch: SourceBatch): Promise<void> {
    const table = await scratch.create(
      `SELECT * FROM ${quoteIdentifier(batch.table)} WHERE __flow_row < ${FIRST_SAMPLE_ROWS}`,
    );
    const sample = { ...batch, table, rows: await scratch.count(table) };
    if (sample.rows > 0) {
      const tried = await this.#decodeAndLearn(scratch, sample);
      await this.#learnShape(scratch.session, sample, tried);
      await dropAttempt(scratch, tried);
    }
    await scratch.drop(table);
  }

  async #decodeAndLearn(scratch: Scratch, batch: SourceBatch): Promise<Attempt> {
    for (let lessons = 0;; lessons += 1) {
      const tried = await this.#attempt(scratch, batch);
      if (lessons === MAX_LESSONS) return tried;
      const schema = await this.#lesson(scratch, batch, tried);
      if (schema === undefined) return tried;
      this.#schema = schema;
      await this.#learnShape(scratch.session, batch, tried);
      await dropAttempt(scratch, tried);
    }
  }

  #attempt(scratch: Scratch, batch: SourceBatch): Promise<Attempt> {
    const resting = this.#restBatches > 0;
    if (resting) this.#restBatches -= 1;
    return attempt(scratch, batch, this.#schema, resting ? undefined : this.#shape, this.#tag);
  }

  /** The schema that the rows which did not fit ask for; `undefined` when it is the present one. */
  async #lesson(
    scratch: Scratch,
    batch: SourceBatch,
    tried: Attempt,
  ): Promise<JsonSchema | undefined> {
    const { slow, schema } = tried;
    if (slow === undefined) return undefined;
    const groups = slow.misfits.filter(({ misfit }) => !isDeclaredMisfit(misfit, schema));
    if (groups.length === 0) return undefined;
    const others = await fittingValues(
      scratch,
      tried,
      groups.flatMap((g) => misfitFields(g.misfit)),
    );
    const rules: GrowthRules = {
      hint: (key) => this.#hint(key),
      others: (key) => others.get(key) ?? 0,
      odd: false,
    };
    const odd = await scratch.create(
      `SELECT t._payload, t.__flow_row FROM ${quoteIdentifier(slow.texts)} AS t ` +
        `SEMI JOIN (SELECT __flow_row FROM ${quoteIdentifier(slow.decoded)} ` +
        `WHERE ${MISFIT_COLUMN} IS NOT NULL) AS d ON t.__flow_row = d.__flow_row ` +
        `WHERE NOT (${hasDoubleKey("t._payload")})`,
    );
    let growth = grow(
      schema,
      await observe(scratch.session, odd, slow.form, scratch.name()),
      rules,
    );
    await scratch.drop(odd);
    if (growth.widened.length > 0) {
      // The wider type must suit the numbers of the rows that fitted as well.
      const all = await scratch.create(textsQuery(batch.table, this.#tag, { tagAll: false }));
      const valid = await scratch.create(
        `SELECT _payload, __flow_row FROM ${quoteIdentifier(all)} ` +
          `WHERE ${REASON_COLUMN} IS NULL AND NOT (${hasDoubleKey("_payload")})`,
      );
      await scratch.drop(all);
      const form = { tag: this.#tag, rawNumbers: false, finite: true };
      const observed = await observe(scratch.session, valid, form, scratch.name());
      growth = grow(schema, observed, { ...rules, others: () => 0 });
      await scratch.drop(valid);
    }
    const same = growth.schema.length === schema.length && growth.schema.every((field, at) => {
      const known = schema[at];
      return known !== undefined && nodeKey(field.node) === nodeKey(known.node);
    });
    return same ? undefined : growth.schema;
  }

  /** Finds the commonest order of keys when the quick way took few rows. */
  async #learnShape(session: Session, batch: SourceBatch, tried: Attempt): Promise<void> {
    const { fast, slow } = tried;
    if (slow === undefined || slow.rows === 0) return;
    if (fast === undefined && this.#restBatches > 0) return;
    if (fast !== undefined && fast.rows >= MIN_FAST_SHARE * batch.rows) return;
    const [found] = await session.rows<{ keys: string }>(
      `SELECT to_json(keys)::VARCHAR AS keys, count(*) AS n FROM (` +
        `SELECT json_keys(_payload) AS keys FROM (SELECT * FROM ${quoteIdentifier(slow.texts)} ` +
        `WHERE ${REASON_COLUMN} IS NULL LIMIT ${SHAPE_SAMPLE_ROWS})) GROUP BY keys ` +
        `ORDER BY n DESC, 1 LIMIT 1`,
    );
    if (found === undefined) return;
    const keys = JSON.parse(found.keys) as string[];
    if (fast !== undefined && JSON.stringify(this.#shape) === JSON.stringify(keys)) {
      this.#restBatches = FAST_REST_BATCHES;
    }
    this.#shape = keys;
  }

  /** How a field of this key begins. */
  #hint(key: string): FieldHint {
    if (isHiddenKey(key)) {
      const kind = key === "_event_ts" ? "event_time" : "ignored";
      return { node: { kind }, inferTimes: false };
    }
    const preferred = this.#target.typeOf(key);
    const column = this.#target.columnOf(key);
    // Into a column of times they come as times: as texts, the target would have to look at each of them twice.
    const inferTimes = this.#inferTimes && (preferred === undefined || preferred === ZONED);
    return { node: firstNode(preferred), inferTimes, ...(column === undefined ? {} : { column }) };
  }
}

const ZONED = "TIMESTAMP WITH TIME ZONE";

function firstNode(preferred: string | undefined): JsonNode {
  if (preferred === "VARCHAR") return { kind: "text", numbers: true, seenNumbers: false };
  if (preferred === "JSON") return { kind: "json" };
  return { kind: "unknown" };
}

/** How many values that are not null the fitting rows have in the fields, by key. */
async function fittingValues(
  scratch: Scratch,
  { schema, fast, slow }: Attempt,
  fields: readonly number[],
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const wanted = [...new Set(fields)].flatMap((at) => schema[at] ?? [])
    .filter((field) => field.column !== "");
  if (wanted.length === 0) return counts;
  const items = wanted.map((field, at) => `count(${quoteIdentifier(field.column)}) AS n${at}`);
  const tables = [
    ...(fast === undefined ? [] : [[fast.table, OK_COLUMN]] as const),
    ...(slow === undefined ? [] : [[slow.decoded, `${MISFIT_COLUMN} IS NULL`]] as const),
  ];
  for (const [table, where] of tables) {
    const [row] = await scratch.session.rows<Record<string, bigint>>(
      `SELECT ${items.join(", ")} FROM ${quoteIdentifier(table)} WHERE ${where}`,
    );
    wanted.forEach((field, at) => {
      counts.set(field.key, (counts.get(field.key) ?? 0) + Number(row?.[`n${at}`] ?? 0n));
    });
  }
  return counts;
}

const MAX_CHANGES_TOLD = 20;

function describeChange(before: readonly Column[], after: readonly Column[]): string | undefined {
  const types = new Map(before.map((column) => [column.name, column.type]));
  const changes = after.flatMap(({ name, type }) => {
    const known = types.get(name);
    if (known === undefined) return [`new column ${quoteIdentifier(name)} ${type}`];
    return known === type ? [] : [`${quoteIdentifier(name)}: ${known} became ${type}`];
  });
  if (changes.length === 0) return undefined;
  const told = changes.slice(0, MAX_CHANGES_TOLD).join("; ");
  const more = changes.length - MAX_CHANGES_TOLD;
  return more > 0 ? `${told}; and ${more} more` : told;
}
