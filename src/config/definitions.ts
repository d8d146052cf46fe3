import type { Connector, Options } from "../core/connector.ts";
import { FlowError } from "../core/error.ts";
import { redactUrl } from "../core/secret.ts";
import type { DefinitionListing } from "../core/batch_request.ts";
import type { BatchSpec } from "../core/batch_spec.ts";
import type {
  ConnectionListing,
  DefinitionInput,
  PipelineListing,
  RawDefinition,
} from "../core/request.ts";
import type { StreamingSpec } from "../core/spec.ts";
import type { RawBatch, TableSet } from "./batch.ts";
import { BatchDefinitions } from "./batch_definitions.ts";
import { ConnectionChain, type FoundConnection } from "./connection_chain.ts";
import { connectionListing } from "./connection_listing.ts";
import { declaredFile } from "./declared_file.ts";
import { resolveConnection, type ResolveContext } from "./endpoint.ts";
import { type ConfigHost, denoHost } from "./host.ts";
import { isRecord } from "./key_names.ts";
import { pickDefinition } from "./pick_definition.ts";
import { ProblemList, wholePlace } from "./problem.ts";
import { type RawPipeline, streamingSpec } from "./streaming.ts";
import { parseToml } from "./toml_document.ts";

/** What definitions are loaded with. What is not given of the host is Deno's own. */
export interface LoadOptions extends Partial<ConfigHost> {
  readonly connectors: readonly Connector[];
}

/** A connection that is ready to be checked: validated, `${VAR}` filled in, secrets wrapped. */
export interface ResolvedConnection {
  readonly name: string;
  readonly kind: string;
  readonly options: Options;
  /** Redacted, for people. */
  readonly shown: string;
}

/**
 * Loads what a user defined. A TOML text is parsed here (so its syntax errors are thrown here); everything else is validated when it is asked for,
 * so that one broken pipeline of a module does not stop another.
 *
 * Throws {@link FlowError}s: `definition_not_found`, `permission_denied`, `definition_invalid`.
 *
 * @example
 * ```ts ignore
 * const definitions = await loadDefinitions({ from: "toml_file", path: "pipeline.toml" }, { connectors });
 * const spec = await definitions.streaming();
 * ```
 */
export async function loadDefinitions(
  input: DefinitionInput | undefined,
  options: LoadOptions,
): Promise<Definitions> {
  const host: ConfigHost = { ...denoHost, ...definedOnly(options) };
  const registered = input?.from === "module"
    ? input.definitions.filter((definition) => definition.kind === "connection")
    : [];
  const raw = input === undefined ? NOTHING : await rawInput(input, host);
  const chain = new ConnectionChain(host, registered, raw.connections);
  return new Definitions(raw, { connectors: options.connectors, chain, host });
}

const NOTHING: RawInput = { streaming: [], declared: [] };

function definedOnly(options: LoadOptions): Partial<ConfigHost> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** The pipelines and connections of one input. */
export class Definitions {
  readonly #pipelines: readonly RawPipeline[];
  readonly #declared: BatchDefinitions;
  readonly #context: Omit<ResolveContext, "problems">;

  /** Made by {@link loadDefinitions}. */
  constructor(raw: RawInput, context: Omit<ResolveContext, "problems">) {
    this.#pipelines = raw.streaming;
    const names = raw.streaming.map(({ name }) => name);
    this.#declared = new BatchDefinitions(raw.declared, raw.tables, names);
    this.#context = context;
  }

  /** What is worth telling the user about the configuration that was read so far. Holds no credential. */
  get notices(): readonly string[] {
    return this.#context.chain.notices;
  }

  /**
   * The validated streaming pipeline of that name; without a name the only one. Throws `pipeline_unknown`, `pipeline_name_missing` or
   * `definition_invalid`.
   */
  async streaming(name?: string): Promise<StreamingSpec> {
    const pipeline = pickDefinition(this.#pipelines, name, {
      kind: "streaming pipeline",
      noneHint: "call streamingPipeline(name, {…}) at the top of the module",
      others: this.#declared.names,
      othersHint: (other) => `'${other}' is a declared pipeline: run it with flow run`,
    });
    return await streamingSpec(pipeline, { ...this.#context, problems: new ProblemList() });
  }

  /**
   * The validated declared pipeline of that name; without a name the only one. Throws `pipeline_unknown`, `pipeline_name_missing`,
   * `definition_invalid` or `dependency_cycle`.
   */
  async batch(name?: string): Promise<BatchSpec> {
    return await this.#declared.one(name, this.#context);
  }

  /** All declared pipelines, in the order of the input, validated together. Throws `definition_invalid` or `dependency_cycle`. */
  async batchAll(): Promise<readonly BatchSpec[]> {
    return await this.#declared.all(this.#context);
  }

  /** Looks at nothing but who waits for whom. Throws `dependency_cycle`. */
  checkOrder(): void {
    this.#declared.checkOrder();
  }

  /** The pipelines of both kinds, without resolving their connections. */
  listAll(): readonly DefinitionListing[] {
    const streaming = this.#pipelines.map(({ name }) => ({ name, kind: "streaming" } as const));
    return [...this.#declared.list(), ...streaming];
  }

  /** All streaming pipelines, without resolving their connections. */
  list(): readonly PipelineListing[] {
    return this.#pipelines.map(({ name, value }) => ({
      name,
      sources: blocksOf(value, "source").map((block) => {
        const query = block["query"] ?? value["source_query"];
        return typeof query === "string" ? `${kindOf(block)}:${query}` : kindOf(block);
      }),
      targets: blocksOf(value, "target").map(kindOf),
    }));
  }

  /** Every configured connection, redacted; nothing is filled in or validated. */
  async connections(): Promise<readonly ConnectionListing[]> {
    const found = await this.#context.chain.all();
    return found.map((connection) => connectionListing(connection, this.#context.connectors));
  }

  /** One connection, validated. Throws `connection_not_found` or `definition_invalid`. */
  async connection(name: string): Promise<ResolvedConnection> {
    const found = await this.#context.chain.find(name);
    if (found === undefined) {
      const { message, hint } = await this.#context.chain.notFound(name);
      throw new FlowError(message, { code: "connection_not_found", domain: "user", hint });
    }
    const problems = new ProblemList();
    const endpoint = await resolveConnection(found, { ...this.#context, problems });
    problems.throwIfAny();
    if (endpoint === undefined) throw new Error("a connection without problems resolves");
    const { connector, options } = endpoint;
    const { shown } = connectionListing(found, [connector]);
    return { name, kind: connector.kind, options, shown };
  }
}

/** The pipelines of both kinds of one input, and the connections beside them. */
interface RawInput {
  readonly streaming: readonly RawPipeline[];
  readonly declared: readonly RawBatch[];
  readonly tables?: TableSet;
  readonly connections?: readonly FoundConnection[];
}

async function rawInput(input: DefinitionInput, host: ConfigHost): Promise<RawInput> {
  if (input.from === "module") {
    const ofKind = (kind: RawDefinition["kind"]) =>
      input.definitions.filter((definition) => definition.kind === kind).map((
        { name, value, origin },
      ) => ({ name, value, place: wholePlace(origin, "module") }));
    return { streaming: ofKind("streaming_pipeline"), declared: ofKind("pipeline") };
  }
  const file = input.from === "toml_file" ? input.path : input.name;
  const text = input.from === "toml_file" ? await host.readFile(input.path) : input.text;
  if (text === undefined) {
    throw new FlowError(`cannot read the pipeline file ${file}: there is no such file`, {
      code: "definition_not_found",
      domain: "user",
      hint: "give the path of a TOML file; modules are given with --module",
      details: { file },
    });
  }
  const document = parseToml(text, file);
  const declared = declaredFile(document, file);
  if (declared !== undefined) {
    const { pipelines, tables, connections } = declared;
    return { streaming: [], declared: pipelines, tables, connections };
  }
  const { value, place } = document;
  const name = value["pipeline_name"];
  return {
    streaming: [{ name: typeof name === "string" ? name : file, value, place }],
    declared: [],
  };
}

function blocksOf(
  value: Readonly<Record<string, unknown>>,
  side: "source" | "target",
): readonly Record<string, unknown>[] {
  const many = value[`${side}s`];
  return [value[side], ...(Array.isArray(many) ? many : [])].filter(isRecord);
}

/** The kind of a block as far as it is written down: the kind itself, the scheme of a URL, or the name of the connection. */
function kindOf(block: Readonly<Record<string, unknown>>): string {
  const { kind, connection, url, dsn } = block;
  if (typeof kind === "string") return kind;
  if (typeof connection === "string") {
    return connection.includes("://") ? redactUrl(connection) : connection;
  }
  if (isRecord(connection) && typeof connection["kind"] === "string") return connection["kind"];
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(String(url ?? dsn ?? ""))?.[1];
  return scheme ?? "unknown";
}
