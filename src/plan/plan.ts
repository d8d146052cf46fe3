import type { Connector } from "../core/connector.ts";
import type { DeadLetterSink } from "../core/dead_letter.ts";
import { FlowError } from "../core/error.ts";
import type { Sink } from "../core/sink.ts";
import type { Source } from "../core/source.ts";
import type { SourceSpec, StreamingSpec, TargetSpec } from "../core/spec.ts";

/** A source of the plan. */
export interface PlannedSource {
  readonly spec: SourceSpec;
  readonly source: Source;
}

/** A target of the plan. */
export interface PlannedTarget {
  readonly spec: TargetSpec;
  readonly sink: Sink;
}

/** Where the plan puts dead letters. */
export type PlannedDeadLetters =
  | { readonly to: "sink"; readonly sink: DeadLetterSink }
  /** A table of the transactional target `target`, in the rows' own transaction. */
  | { readonly to: "table"; readonly table: string; readonly target: PlannedTarget };

/** What will run: every part chosen, nothing opened yet. */
export interface StreamPlan {
  readonly spec: StreamingSpec;
  readonly sources: readonly PlannedSource[];
  readonly targets: readonly PlannedTarget[];
  readonly deadLetters?: PlannedDeadLetters;
  readonly delivery: "exactly_once" | "at_least_once";
  /** Why delivery is not exactly once, or other things that the user should know before it runs. */
  readonly notes: readonly string[];
}

/** Turns a specification into a plan. Pure but for making the parts: nothing is opened. Refuses what cannot work. */
export function planStream(spec: StreamingSpec, connectors: readonly Connector[]): StreamPlan {
  const sources = spec.sources.map((source): PlannedSource => {
    const connector = connectorOf(connectors, source.kind);
    if (connector.createSource === undefined) throw notA("source", source.kind, connectors);
    return {
      spec: source,
      source: connector.createSource({
        sourceId: source.sourceId,
        query: source.query,
        options: source.options,
      }),
    };
  });
  const targets = spec.targets.map((target): PlannedTarget => {
    const connector = connectorOf(connectors, target.kind);
    if (connector.createSink === undefined) throw notA("target", target.kind, connectors);
    const sink = connector.createSink({
      options: target.options,
      mode: target.mode,
      keys: target.keys,
      create: target.create,
      ...(target.table === undefined ? {} : { table: target.table }),
    });
    if (!sink.traits.modes.includes(target.mode)) {
      throw new FlowError(`mode '${target.mode}' does not work with target ${sink.targetId}`, {
        code: "mode_unsupported",
        domain: "user",
        hint: `it takes ${sink.traits.modes.join(", ")}`,
      });
    }
    return { spec: target, sink };
  });
  refuseShared(targets);
  const deadLetters = planDeadLetters(spec, targets, connectors);
  refuseCircles(sources, targets, deadLetters);
  const { delivery, notes } = planDelivery(spec, sources, targets);
  return { spec, sources, targets, delivery, notes, ...(deadLetters && { deadLetters }) };
}

function refuseShared(targets: readonly PlannedTarget[]): void {
  const file = repeated(targets.map(({ sink }) => sink.exclusiveFile));
  if (file !== undefined) {
    throw new FlowError(`two targets of the pipeline write to the same file '${file}'`, {
      code: "targets_share_file",
      domain: "user",
      hint: "give each table a file of its own, or write a pipeline for each target",
    });
  }
  const table = repeated(targets.map(({ sink }) => sink.exclusiveTable));
  if (table === undefined) return;
  throw new FlowError(`two targets of the pipeline write to the same table ${table}`, {
    code: "targets_share_table",
    domain: "user",
    hint: "leave one of them out, or write a pipeline for each",
  });
}

function repeated(names: readonly (string | undefined)[]): string | undefined {
  return names.find((name, at) => name !== undefined && names.indexOf(name) !== at);
}

/** Refuses a pipeline that reads what it writes: it would go round for ever. */
function refuseCircles(
  sources: readonly PlannedSource[],
  targets: readonly PlannedTarget[],
  deadLetters: PlannedDeadLetters | undefined,
): void {
  const places = [
    ...targets.map(({ sink }) => ({ what: `target ${sink.targetId}`, place: sink.place })),
    ...(deadLetters?.to === "sink"
      ? [{ what: "the dead letters", place: deadLetters.sink.place }]
      : []),
  ];
  for (const { source } of sources) {
    const own = places.find(({ place }) => place !== undefined && source.reads?.(place) === true);
    if (own === undefined) continue;
    throw new FlowError(
      `the pipeline reads what it writes: source '${source.sourceId}' reads ${own.what}`,
      {
        code: "pipeline_feeds_itself",
        domain: "user",
        hint: "write to another topic or folder, or narrow the source's query",
      },
    );
  }
}

function planDelivery(
  spec: StreamingSpec,
  sources: readonly PlannedSource[],
  targets: readonly PlannedTarget[],
): Pick<StreamPlan, "delivery" | "notes"> {
  const obstacles = [
    ...targets.filter(({ sink }) => !sink.traits.transactional).map(({ sink }) =>
      `target ${sink.targetId} has no transactions`
    ),
    ...sources.filter(({ source }) => !source.traits.seekable).map(({ source }) =>
      `source '${source.sourceId}' cannot go back to a stored position`
    ),
  ];
  if (spec.delivery === "at_least_once") return { delivery: "at_least_once", notes: [] };
  if (obstacles.length === 0) return { delivery: "exactly_once", notes: [] };
  if (spec.delivery === "exactly_once") {
    throw new FlowError(
      `delivery = "exactly_once" cannot be had for pipeline '${spec.name}': ${
        obstacles.join("; ")
      }`,
      {
        code: "delivery_impossible",
        domain: "user",
        hint: 'leave delivery at "auto", or write to a database target',
      },
    );
  }
  return {
    delivery: "at_least_once",
    notes: [`delivery is at least once, duplicates are possible: ${obstacles.join("; ")}`],
  };
}

function planDeadLetters(
  spec: StreamingSpec,
  targets: readonly PlannedTarget[],
  connectors: readonly Connector[],
): PlannedDeadLetters | undefined {
  const wanted = spec.deadLetter;
  if (wanted === undefined) return undefined;
  if (wanted.to === "table") {
    const target = targets.find(({ sink }) =>
      sink.traits.transactional && sink.writeDeadLetters !== undefined
    );
    if (target === undefined) {
      throw new FlowError(`dead_letter_table '${wanted.table}' needs a database target`, {
        code: "dead_letters_impossible",
        domain: "user",
        hint: "use dead_letter_topic or dead_letter_file",
      });
    }
    return { to: "table", table: wanted.table, target };
  }
  const kind = wanted.to === "topic" ? wanted.kind : "object_store_local";
  const connector = connectorOf(connectors, kind);
  if (connector.createDeadLetters === undefined) {
    throw new FlowError(`a '${kind}' connection takes no dead letters`, {
      code: "dead_letters_impossible",
      domain: "user",
      hint: "use a Kafka connection, dead_letter_table or dead_letter_file",
    });
  }
  return {
    to: "sink",
    sink: wanted.to === "topic"
      ? connector.createDeadLetters(wanted.options, wanted.topic)
      : connector.createDeadLetters({}, wanted.path),
  };
}

function connectorOf(connectors: readonly Connector[], kind: string): Connector {
  const connector = connectors.find((candidate) => candidate.kind === kind);
  if (connector === undefined) {
    throw new FlowError(`no connector is called '${kind}'`, {
      code: "connector_unknown",
      domain: "user",
      hint: `known: ${connectors.map((known) => known.kind).join(", ")}`,
    });
  }
  return connector;
}

function notA(
  role: "source" | "target",
  kind: string,
  connectors: readonly Connector[],
): FlowError {
  const able = connectors.filter((connector) =>
    role === "source" ? connector.createSource : connector.createSink
  );
  return new FlowError(`kind = "${kind}" cannot be a ${role}`, {
    code: `not_a_${role}`,
    domain: "user",
    hint: `these can: ${able.map((connector) => connector.kind).join(", ")}`,
  });
}
