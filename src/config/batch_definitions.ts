import type { DefinitionListing } from "../core/batch_request.ts";
import type { BatchSpec } from "../core/batch_spec.ts";
import { batchSpec, type RawBatch, type TableSet } from "./batch.ts";
import { namedTable } from "./batch_target.ts";
import { tableOf } from "./declared_table.ts";
import type { ResolveContext } from "./endpoint.ts";
import { addTwice, pickDefinition } from "./pick_definition.ts";
import { addUnknownUpstreams, checkCycles } from "./pipeline_order.ts";
import { ProblemList } from "./problem.ts";

/** The declared pipelines of one input. */
export class BatchDefinitions {
  readonly #pipelines: readonly RawBatch[];
  readonly #tables: TableSet | undefined;
  readonly #streaming: readonly string[];

  /** `streaming` are the names of the streaming pipelines beside them, for messages. */
  constructor(
    pipelines: readonly RawBatch[],
    tables: TableSet | undefined,
    streaming: readonly string[],
  ) {
    this.#pipelines = pipelines;
    this.#tables = tables;
    this.#streaming = streaming;
  }

  /** Their names, in the order of the input. */
  get names(): readonly string[] {
    return this.#pipelines.map(({ name }) => name);
  }

  /** One pipeline, validated; without a name the only one. */
  async one(
    name: string | undefined,
    context: Omit<ResolveContext, "problems">,
  ): Promise<BatchSpec> {
    const pipeline = pickDefinition(this.#pipelines, name, {
      kind: "pipeline",
      noneHint:
        "call pipeline(name, {…}) at the top of the module, or add [[pipeline]] to the file",
      others: this.#streaming,
      othersHint: (other) => `'${other}' is a streaming pipeline: run it with flow consume`,
    });
    const problems = new ProblemList();
    const spec = await this.#resolve(pipeline, { ...context, problems });
    problems.throwIfAny();
    checkCycles([pipeline], this.#pipelines);
    if (spec === undefined) throw new Error("a pipeline without problems resolves");
    return spec;
  }

  /** All of them, validated together. */
  async all(context: Omit<ResolveContext, "problems">): Promise<readonly BatchSpec[]> {
    const problems = new ProblemList();
    const specs: BatchSpec[] = [];
    for (const [index, pipeline] of this.#pipelines.entries()) {
      const first = this.#pipelines.findIndex(({ name }) => name === pipeline.name);
      const other = this.#pipelines[first];
      if (first < index && other !== undefined) addTwice(problems, "pipeline", other, pipeline);
      const spec = await this.#resolve(pipeline, { ...context, problems });
      if (spec !== undefined) specs.push(spec);
    }
    // Tables that no pipeline writes are looked into as well.
    const { tables = {}, place } = this.#tables ?? {};
    for (const [name, table] of Object.entries(tables)) {
      if (place !== undefined) tableOf(namedTable(name, table, place), problems);
    }
    problems.throwIfAny();
    this.checkOrder();
    return specs;
  }

  /** @throws FlowError `dependency_cycle` when pipelines wait for one another, whatever else is wrong with them */
  checkOrder(): void {
    checkCycles(this.#pipelines, this.#pipelines);
  }

  /** All of them, without resolving their connections. */
  list(): readonly DefinitionListing[] {
    return this.#pipelines.map(({ name, value }) => {
      const { schedule } = value;
      const isText = typeof schedule === "string" && schedule !== "";
      return { name, kind: "pipeline", ...(isText ? { schedule } : {}) };
    });
  }

  async #resolve(pipeline: RawBatch, context: ResolveContext): Promise<BatchSpec | undefined> {
    addUnknownUpstreams(pipeline, this.names, this.#streaming, context.problems);
    return await batchSpec(pipeline, { ...context, tables: this.#tables });
  }
}
