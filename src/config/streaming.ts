import type { Connector } from "../core/connector.ts";
import type { Column } from "../core/schema.ts";
import type {
  DeadLetterSpec,
  Delivery,
  OnError,
  SourceSpec,
  StreamingSpec,
  TargetSpec,
} from "../core/spec.ts";
import {
  type Endpoint,
  type RawEndpoint,
  type ResolveContext,
  resolveSource,
  resolveTarget,
  type SourceCommon,
  type TargetCommon,
} from "./endpoint.ts";
import { nearestName } from "./key_names.ts";
import { modulePipeline, type PipelineShape, tomlPipeline } from "./pipeline_schema.ts";
import { keyName, type KeyPath, type Place } from "./problem.ts";
import { showValue, validate, validPart } from "./validate.ts";

/** A streaming pipeline as it was written, not validated yet. */
export interface RawPipeline {
  readonly name: string;
  readonly value: Readonly<Record<string, unknown>>;
  readonly place: Place;
}

type Source = { readonly raw: RawEndpoint; readonly endpoint: Endpoint<SourceCommon> };
type Target = { readonly raw: RawEndpoint; readonly endpoint: Endpoint<TargetCommon> };

/**
 * Validates a pipeline and resolves its connections. Throws one `definition_invalid` {@link FlowError} with everything that is wrong.
 */
export async function streamingSpec(
  pipeline: RawPipeline,
  context: ResolveContext,
): Promise<StreamingSpec> {
  const { problems } = context;
  const shape = pipelineShape(pipeline, context);
  // Endpoints are looked into even when other keys are wrong, so that all problems are told at once.
  const rawSources = endpointsOf(pipeline, "source", context);
  const rawTargets = endpointsOf(pipeline, "target", context);
  const sources: Source[] = [];
  for (const raw of rawSources) {
    const endpoint = await resolveSource(raw, context);
    if (endpoint !== undefined) sources.push({ raw, endpoint });
  }
  const targets: Target[] = [];
  for (const raw of rawTargets) {
    const endpoint = await resolveTarget(raw, context);
    if (endpoint !== undefined) targets.push({ raw, endpoint });
  }
  const checks = new CrossChecks(pipeline, shape ?? validKeys(pipeline), context);
  const sourceSpecs = checks.sources(sources);
  const targetSpecs = targets.map((target) => checks.target(target));
  const delivery = checks.delivery(targets);
  const isComplete = sources.length === rawSources.length && targets.length === rawTargets.length;
  const deadLetter = isComplete ? checks.deadLetter(sources, targets) : undefined;
  const transformOnError = checks.transformOnError(deadLetter !== undefined || !isComplete);
  problems.throwIfAny();
  if (shape === undefined) throw new Error("a pipeline without problems has a shape");
  const transformSql = shape.transform?.sql ?? shape.transform_sql;
  return {
    name: shape.pipeline_name,
    origin: pipeline.place.locate([]),
    sources: sourceSpecs,
    targets: targetSpecs,
    ...(transformSql === undefined ? {} : { transformSql }),
    ...(transformOnError === undefined ? {} : { transformOnError }),
    ...(deadLetter === undefined ? {} : { deadLetter }),
    delivery,
    idlePauseMs: shape.idle_pause_ms,
    maxBatchRows: shape.max_batch_rows,
    maxBatchBytes: shape.max_batch_bytes,
    maxBatchWaitMs: shape.max_batch_wait_ms,
  };
}

function pipelineShape(
  { name, value, place }: RawPipeline,
  { problems }: ResolveContext,
): PipelineShape | undefined {
  const locate = (path: KeyPath) => ({ place, path });
  if (place.spelling === "toml") return validate(tomlPipeline, value, { problems, locate });
  return validate(modulePipeline, { ...value, pipeline_name: name }, { problems, locate });
}

function validKeys({ value, place }: RawPipeline): Partial<PipelineShape> {
  return place.spelling === "toml"
    ? validPart(tomlPipeline.entries, value)
    : validPart(modulePipeline.entries, value);
}

/** The blocks of one side, in one form. What `source_query`, `target_table` and the like say of a single block is put into it. */
function endpointsOf(
  { value, place }: RawPipeline,
  side: "source" | "target",
  { problems }: ResolveContext,
): readonly RawEndpoint[] {
  const one = value[side];
  const many = value[`${side}s`];
  const flat = side === "source"
    ? { query: "source_query" }
    : place.spelling === "toml"
    ? {}
    : { table: "target_table", mode: "mode", keys: "keys", create: "create" };
  const shorthand = Object.entries(flat).filter(([, key]) => value[key] !== undefined);
  const name = (key: string) => keyName(key, place.spelling);
  if (one !== undefined && many !== undefined) {
    problems.add(
      place,
      [`${side}s`],
      `pipeline config sets both \`${side}\` and \`${side}s\` — pick one form`,
    );
    return [];
  }
  if (Array.isArray(many)) {
    for (const [inner, key] of shorthand) {
      const message = `applies to a single ${side}, but there are several`;
      problems.add(place, [key], message, `give each of ${side}s its own ${name(inner)}`);
    }
    return many.flatMap((item: unknown, index) =>
      isBlock(item) ? [{ value: item, place, path: [`${side}s`, index] }] : []
    );
  }
  if (one === undefined) {
    if (many === undefined) {
      const how = place.spelling === "toml" ? `add a [${side}] block` : `give ${side}: …`;
      problems.add(place, [], `the pipeline has no ${side}`, how);
    }
    return [];
  }
  if (!isBlock(one)) return [];
  const block: Record<string, unknown> = { ...one };
  const elsewhere: Record<string, KeyPath> = {};
  for (const [inner, key] of shorthand) {
    if (block[inner] !== undefined && JSON.stringify(block[inner]) !== JSON.stringify(value[key])) {
      problems.add(place, [key], `the ${side} has another ${name(inner)}: give one of them`);
    }
    block[inner] = value[key];
    elsewhere[inner] = [key];
  }
  return [{ value: block, place, path: [side], elsewhere }];
}

function isBlock(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const DELIVERIES: readonly Delivery[] = ["auto", "at_least_once", "exactly_once"];

/** Connectors whose dead letters are topics of the broker that they read or write. */
const TOPIC_KIND = "kafka";

/** What can only be seen by looking at several parts of a definition. */
class CrossChecks {
  readonly #pipeline: RawPipeline;
  readonly #shape: Partial<PipelineShape>;
  readonly #context: ResolveContext;

  constructor(pipeline: RawPipeline, shape: Partial<PipelineShape>, context: ResolveContext) {
    this.#pipeline = pipeline;
    this.#shape = shape;
    this.#context = context;
  }

  sources(sources: readonly Source[]): readonly SourceSpec[] {
    const seen = new Map<string, number>();
    return sources.map(({ raw, endpoint: { connector, common, options } }) => {
      const { query } = common;
      if (query === undefined) {
        const isSingle = raw.path.length === 1;
        const path = isSingle ? ["source_query"] : [...raw.path, "query"];
        this.#add(path, "required, but not given (a topic, a glob, a table)");
        return { sourceId: "", kind: connector.kind, query: "", options };
      }
      const times = (seen.get(query) ?? 0) + 1;
      seen.set(query, times);
      const columns = columnsOf(common.columns);
      return {
        sourceId: times === 1 ? query : `${query}#${times}`,
        kind: connector.kind,
        query,
        options,
        ...(columns === undefined ? {} : { columns }),
      };
    });
  }

  target({ raw, endpoint }: Target): TargetSpec {
    const { connector, common, options, connectionName } = endpoint;
    const { table, mode = "append", keys = [], create = true } = common;
    const key = (name: string) => keyName(name, this.#pipeline.place.spelling);
    if (table === undefined && connector.targetNeedsTable === true) {
      const hint = this.#pipeline.place.spelling === "toml"
        ? raw.path.length === 1
          ? 'add [target.table] with name = "…"'
          : 'add [[targets.table]] with name = "…" to it'
        : raw.path.length === 1
        ? 'give targetTable: "schema.name"'
        : 'give it table: "schema.name"';
      this.#add(
        raw.path,
        `target connection '${connectionName ?? "target"}' (kind='${connector.kind}') ` +
          "requires target_table=...",
        hint,
      );
    }
    if (mode === "merge" && keys.length === 0 && connector.targetNeedsTable !== true) {
      const message = `mode = "merge" needs ${key("keys")}: a target of kind ` +
        `'${connector.kind}' has no primary key to take them from`;
      this.#add([...raw.path, "mode"], message, `give ${key("keys")} = ["…"]`);
    }
    if (mode !== "merge" && keys.length > 0) {
      const message = 'only applies when mode = "merge"; the mode is "append"';
      this.#add([...raw.path, "keys"], message, 'set mode = "merge", or leave keys out');
    }
    return {
      kind: connector.kind,
      options,
      ...(table === undefined ? {} : {
        table: {
          name: table.name,
          ...(table.schema === undefined ? {} : { schema: table.schema }),
        },
      }),
      mode,
      keys,
      create,
    };
  }

  delivery(targets: readonly Target[]): Delivery {
    const given: { readonly path: KeyPath; readonly value: string }[] = [];
    const top = this.#shape.delivery;
    if (top !== undefined) given.push({ path: ["delivery"], value: top });
    for (const { raw, endpoint } of targets) {
      const value = endpoint.common.delivery;
      if (value !== undefined) given.push({ path: [...raw.path, "delivery"], value });
    }
    let delivery: Delivery | undefined;
    for (const { path, value } of given) {
      const known = DELIVERIES.find((candidate) => candidate === value);
      if (known === undefined) {
        const near = nearestName(value, DELIVERIES);
        this.#add(
          path,
          `delivery = ${showValue(value, "toml")} not supported ` +
            '(use "auto", "at_least_once", or "exactly_once")',
          near === undefined ? undefined : `did you mean "${near}"?`,
        );
      } else if (delivery !== undefined && delivery !== known) {
        this.#add(path, `"${known}" contradicts "${delivery}" given elsewhere: say it once`);
      } else {
        delivery = known;
      }
    }
    return delivery ?? "auto";
  }

  transformOnError(hasDeadLetters: boolean): OnError | undefined {
    const top = this.#shape.transform_on_error;
    const inner = this.#shape.transform?.on_error;
    if (top !== undefined && inner !== undefined && top !== inner) {
      this.#add(["transform_on_error"], `"${top}" contradicts [transform] on_error = "${inner}"`);
    }
    const onError = top ?? inner;
    if (onError === "dlq" && !hasDeadLetters) {
      const names = ["dead_letter_topic", "dead_letter_table", "dead_letter_file"].map((name) =>
        keyName(name, this.#pipeline.place.spelling)
      );
      this.#add(
        top === undefined ? ["transform", "on_error"] : ["transform_on_error"],
        '"dlq" needs a place for dead letters, and none is given',
        `give one of ${names.join(", ")}`,
      );
    }
    return onError;
  }

  deadLetter(sources: readonly Source[], targets: readonly Target[]): DeadLetterSpec | undefined {
    const topics = this.#deadLetterTopics(sources);
    const { dead_letter_table: table, dead_letter_file: path } = this.#shape;
    const places = [
      ...topics.slice(0, 1).map((topic) => topic.path),
      ...(table === undefined ? [] : [["dead_letter_table"]]),
      ...(path === undefined ? [] : [["dead_letter_file"]]),
    ];
    for (const place of places.slice(1)) {
      this.#add(
        place,
        "dead letters go to one place, and another is given too",
        "give one of them",
      );
    }
    const [first] = topics;
    if (first === undefined) {
      if (table !== undefined) return { to: "table", table };
      return path === undefined ? undefined : { to: "file", path };
    }
    for (const other of topics.slice(1)) {
      if (other.topic === first.topic) continue;
      this.#add(other.path, `"${other.topic}" contradicts "${first.topic}" given elsewhere`);
    }
    const owner = first.source?.endpoint.connector.kind === TOPIC_KIND
      ? first.source.endpoint
      : [...sources, ...targets].map((part) => part.endpoint).find((endpoint) =>
        endpoint.connector.kind === TOPIC_KIND
      );
    if (owner === undefined) {
      this.#add(
        first.path,
        "a dead-letter topic needs a Kafka source or target, whose connection it uses",
        `use ${keyName("dead_letter_table", this.#pipeline.place.spelling)} or ${
          keyName("dead_letter_file", this.#pipeline.place.spelling)
        }`,
      );
      return undefined;
    }
    return {
      to: "topic",
      topic: first.topic,
      kind: owner.connector.kind,
      options: connectionPart(owner.connector, owner.options),
    };
  }

  #deadLetterTopics(sources: readonly Source[]): readonly {
    readonly path: KeyPath;
    readonly topic: string;
    readonly source?: Source;
  }[] {
    const top = this.#shape.dead_letter_topic;
    return [
      ...(top === undefined ? [] : [{ path: ["dead_letter_topic"], topic: top }]),
      ...sources.flatMap((source) => {
        const topic = source.endpoint.common.dead_letter_topic;
        const path = [...source.raw.path, "dead_letter_topic"];
        return topic === undefined ? [] : [{ path, topic, source }];
      }),
    ];
  }

  #add(path: KeyPath, message: string, hint?: string): void {
    // A key of a single block may have been written in its flat form.
    const { value, place } = this.#pipeline;
    const [block, key] = path;
    const flat = place.spelling === "module" && block === "target" && typeof key === "string" &&
      value[key] !== undefined;
    this.#context.problems.add(place, flat ? [key] : path, message, hint);
  }
}

function connectionPart(
  connector: Connector,
  options: TargetSpec["options"],
): TargetSpec["options"] {
  return Object.fromEntries(
    Object.entries(options).filter(([key]) => Object.hasOwn(connector.connectionOptions, key)),
  );
}

function columnsOf(columns: SourceCommon["columns"]): readonly Column[] | undefined {
  if (columns === undefined) return undefined;
  return Object.entries(columns).map(([name, type]) => ({ name, type }));
}
