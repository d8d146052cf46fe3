import type { Connector, Options } from "../core/connector.ts";
import { FlowError } from "../core/error.ts";
import { redactUrl } from "../core/secret.ts";
import type { ConnectionListing, DefinitionInput, PipelineListing } from "../core/request.ts";
import type { StreamingSpec } from "../core/spec.ts";
import { ConnectionChain } from "./connection_chain.ts";
import { connectionListing } from "./connection_listing.ts";
import { resolveConnection, type ResolveContext } from "./endpoint.ts";
import { type ConfigHost, denoHost } from "./host.ts";
import { isRecord, nearestName } from "./key_names.ts";
import { originText, ProblemList, wholePlace } from "./problem.ts";
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
  const chain = new ConnectionChain(host, registered);
  const pipelines = input === undefined ? [] : await rawPipelines(input, host);
  return new Definitions(pipelines, { connectors: options.connectors, chain, host });
}

function definedOnly(options: LoadOptions): Partial<ConfigHost> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** The pipelines and connections of one input. */
export class Definitions {
  readonly #pipelines: readonly RawPipeline[];
  readonly #context: Omit<ResolveContext, "problems">;

  constructor(pipelines: readonly RawPipeline[], context: Omit<ResolveContext, "problems">) {
    this.#pipelines = pipelines;
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
    return await streamingSpec(this.#pick(name), { ...this.#context, problems: new ProblemList() });
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

  #pick(name: string | undefined): RawPipeline {
    const names = this.#pipelines.map((pipeline) => pipeline.name);
    if (name === undefined) {
      const [only, another] = this.#pipelines;
      if (only !== undefined && another === undefined) return only;
      throw new FlowError(
        only === undefined
          ? "no streaming pipeline is defined"
          : `which streaming pipeline? There are ${names.length}: ${names.join(", ")}`,
        {
          code: only === undefined ? "pipeline_unknown" : "pipeline_name_missing",
          domain: "user",
          hint: only === undefined
            ? "call streamingPipeline(name, {…}) at the top of the module"
            : "give its name",
        },
      );
    }
    const [found, again] = this.#pipelines.filter((pipeline) => pipeline.name === name);
    if (found === undefined) {
      const near = nearestName(name, names);
      throw new FlowError(
        `no streaming pipeline named '${name}' is registered (known: ${
          names.join(", ") || "none"
        })`,
        {
          code: "pipeline_unknown",
          domain: "user",
          ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
        },
      );
    }
    if (again !== undefined) {
      const problems = new ProblemList();
      const first = originText(found.place.locate([]));
      problems.add(
        again.place,
        [],
        `a streaming pipeline named '${name}' is defined twice; the first is at ${first}`,
        "give each pipeline a name of its own",
      );
      problems.throwIfAny();
    }
    return found;
  }
}

async function rawPipelines(
  input: DefinitionInput,
  host: ConfigHost,
): Promise<readonly RawPipeline[]> {
  if (input.from === "module") {
    return input.definitions.filter((definition) => definition.kind === "streaming_pipeline").map((
      { name, value, origin },
    ) => ({ name, value, place: wholePlace(origin, "module") }));
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
  const { value, place } = parseToml(text, file);
  const name = value["pipeline_name"];
  return [{ name: typeof name === "string" ? name : file, value, place }];
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
