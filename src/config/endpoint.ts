import * as v from "valibot";
import type { Connector, OptionEntries, Options } from "../core/connector.ts";
import type { ConnectionChain, FoundConnection } from "./connection_chain.ts";
import type { ConfigHost } from "./host.ts";
import { interpolate } from "./interpolate.ts";
import { isRecord, nearestName } from "./key_names.ts";
import {
  CONNECTION_ENTRIES,
  SOURCE_ENTRIES,
  tableForm,
  TARGET_ENTRIES,
} from "./pipeline_schema.ts";
import { keyName, type KeyPath, type Place, type ProblemList, wholePlace } from "./problem.ts";
import { restoreDataKeys } from "./schema_shape.ts";
import { addUnknownKey, type PlacedPath, validate } from "./validate.ts";

/** What resolving needs besides the definition itself. */
export interface ResolveContext {
  readonly connectors: readonly Connector[];
  readonly chain: ConnectionChain;
  readonly host: Pick<ConfigHost, "env">;
  readonly problems: ProblemList;
}

/** A `[source]` or `[target]` block as it was written. */
export interface RawEndpoint {
  readonly value: Readonly<Record<string, unknown>>;
  readonly place: Place;
  readonly path: KeyPath;
  /** Where keys were written that belong to the block and do not stand in it: `query` as `source_query`. */
  readonly elsewhere?: Readonly<Record<string, KeyPath>>;
}

/** A connection's kind and its options, validated for one use. */
export interface Endpoint<Common> {
  readonly connector: Connector;
  /** Name of the connection, where it has one. */
  readonly connectionName: string | undefined;
  readonly options: Options;
  /** The keys of the block that are not the connector's. */
  readonly common: Common;
}

type Outputs<E extends OptionEntries> = v.InferOutput<v.StrictObjectSchema<E, undefined>>;
/** The keys of a source block that every kind has. */
export type SourceCommon = Outputs<typeof SOURCE_ENTRIES>;
/** The keys of a target block that every kind has. */
export type TargetCommon = Outputs<typeof TARGET_ENTRIES>;

/** Resolves a source block; `undefined` after adding what is wrong with it to the problems. */
export function resolveSource(
  raw: RawEndpoint,
  context: ResolveContext,
): Promise<Endpoint<SourceCommon> | undefined> {
  return resolve<SourceCommon>(raw, SOURCE_USE, context);
}

/** Resolves a target block; `undefined` after adding what is wrong with it to the problems. */
export function resolveTarget(
  raw: RawEndpoint,
  context: ResolveContext,
): Promise<Endpoint<TargetCommon> | undefined> {
  const { table } = raw.value;
  const value = table === undefined ? raw.value : { ...raw.value, table: tableForm(table) };
  return resolve<TargetCommon>({ ...raw, value }, TARGET_USE, context);
}

/** Resolves a connection by itself, without a source or target, as `flow connections check` does. */
export async function resolveConnection(
  found: FoundConnection,
  context: ResolveContext,
): Promise<Endpoint<Record<never, never>> | undefined> {
  const raw: RawEndpoint = { value: {}, place: found.place, path: found.path };
  return await resolveWith(raw, found, CONNECTION_USE, context);
}

/** One way to use a connection. */
interface Use {
  readonly name: "source" | "target" | "connection";
  readonly common: OptionEntries;
  /** The connector's own entries for this use, besides those of the connection. */
  readonly own: (connector: Connector) => OptionEntries;
  readonly can: (connector: Connector) => boolean;
}

const SOURCE_USE: Use = {
  name: "source",
  common: SOURCE_ENTRIES,
  own: (connector) => connector.sourceOptions ?? {},
  can: (connector) => connector.createSource !== undefined,
};

const TARGET_USE: Use = {
  name: "target",
  common: TARGET_ENTRIES,
  own: (connector) => connector.targetOptions ?? {},
  can: (connector) => connector.createSink !== undefined,
};

const CONNECTION_USE: Use = {
  name: "connection",
  common: {},
  own: () => ({}),
  can: () => true,
};

async function resolve<Common>(
  raw: RawEndpoint,
  use: Use,
  context: ResolveContext,
): Promise<Endpoint<Common> | undefined> {
  const { connection } = raw.value;
  if (connection === undefined) return resolveWith(raw, undefined, use, context);
  const path = [...raw.path, "connection"];
  if (typeof connection === "string" && connection !== "") {
    const found = await context.chain.find(connection);
    if (found !== undefined) return resolveWith(raw, found, use, context);
    const { message, hint } = await context.chain.notFound(connection);
    context.problems.add(raw.place, path, message, hint);
    return undefined;
  }
  const typed = raw.place.spelling === "module" ? typedConnection(connection) : undefined;
  if (typed !== undefined) return resolveWith(raw, typed, use, context);
  context.problems.add(raw.place, path, "expected the name of a connection");
  return undefined;
}

/** A connection object that a module made with `kafka({…})` and the like: `{ kind, name?, options, origin }`. */
export function typedConnection(value: unknown): FoundConnection | undefined {
  if (!isRecord(value)) return undefined;
  const { kind, name, options, origin } = value;
  if (typeof kind !== "string" || !isRecord(options) || !isRecord(origin)) return undefined;
  const { file, line, column } = origin;
  const place = wholePlace({
    file: String(file),
    ...(typeof line === "number" ? { line } : {}),
    ...(typeof column === "number" ? { column } : {}),
  }, "module");
  return {
    name: typeof name === "string" ? name : undefined,
    from: "module",
    value: { ...options, kind },
    place,
    path: [],
  };
}

function resolveWith<Common>(
  raw: RawEndpoint,
  found: FoundConnection | undefined,
  use: Use,
  context: ResolveContext,
): Endpoint<Common> | undefined {
  const before = context.problems.count;
  const connector = connectorOf(raw, found, use, context);
  if (connector === undefined) return undefined;
  const own: OptionEntries = { ...connector.connectionOptions, ...use.own(connector) };
  // A connector that has `columns` of its own (datagen) takes the block's; otherwise they declare the payload's.
  const common = Object.fromEntries(Object.entries(use.common).filter(([key]) => !(key in own)));
  const schema = v.strictObject({ ...own, ...common });
  const merged = mergeOptions(raw, found, connector, schema, context.problems);
  const locate = (path: KeyPath) => merged.locate(path, raw);
  const written = merged.value;
  const name = found?.name;
  const filled = interpolate(onlyKeys(written, own), {
    env: context.host.env,
    user: name === undefined ? `the ${use.name}` : `connection '${name}'`,
    report(path, message, hint) {
      const at = locate(path);
      context.problems.add(at.place, at.path, message, hint);
    },
  });
  const value = { ...onlyKeys(written, common), ...onlyKeys(filled, own) };
  const output = validate(schema, value, { problems: context.problems, locate, shown: written });
  if (output === undefined || context.problems.count > before) return undefined;
  return {
    connector,
    connectionName: name,
    options: onlyKeys(output, own),
    common: onlyKeys(output, common) as Common,
  };
}

interface MergedOptions {
  readonly value: Record<string, unknown>;
  locate(path: KeyPath, raw: RawEndpoint): PlacedPath;
}

/** The block's keys over those of its connection. Keys of the connection that serve its other use are left out. */
function mergeOptions(
  raw: RawEndpoint,
  found: FoundConnection | undefined,
  connector: Connector,
  schema: { readonly entries: OptionEntries },
  problems: ProblemList,
): MergedOptions {
  const value: Record<string, unknown> = {};
  const owners = new Map<string, PlacedPath>();
  const everyUse = {
    ...connector.connectionOptions,
    ...connector.sourceOptions,
    ...connector.targetOptions,
  };
  const urlKey = "url" in everyUse ? "url" : "dsn" in everyUse ? "dsn" : undefined;
  /** Takes the keys of one part over; `taken` are those that mean something here, `skipped` those that do so in another use. */
  const take = (
    part: RawEndpoint,
    identity: readonly string[],
    taken: Readonly<Record<string, unknown>>,
    skipped: Readonly<Record<string, unknown>>,
  ) => {
    const given = new Set<string>();
    for (const [key, item] of Object.entries(part.value)) {
      if (identity.includes(key) || item === undefined) continue;
      const name = (key === "url" || key === "dsn") && urlKey !== undefined ? urlKey : key;
      const path = part.elsewhere?.[key] ?? [...part.path, key];
      if (given.has(name)) {
        problems.add(part.place, path, "url and dsn mean the same: give one of them");
      }
      given.add(name);
      if (!Object.hasOwn(taken, name)) {
        if (Object.hasOwn(skipped, name)) continue;
        const valid = new Set([...Object.keys(taken), ...Object.keys(skipped), ...identity]);
        addUnknownKey(problems, part.place, path, [...valid]);
        continue;
      }
      const itemSchema = schema.entries[name];
      value[name] = part.place.spelling === "module" && itemSchema !== undefined
        ? restoreDataKeys(itemSchema as v.GenericSchema, item)
        : item;
      owners.set(name, { place: part.place, path });
    }
  };
  const own = Object.fromEntries(
    Object.entries(schema.entries).filter(([key]) => Object.hasOwn(everyUse, key)),
  );
  if (found !== undefined) take(found, ["kind"], own, everyUse);
  take(raw, Object.keys(CONNECTION_ENTRIES), schema.entries, {});
  return {
    value,
    locate(path, fallback) {
      const [key, ...rest] = path;
      const owner = key === undefined ? undefined : owners.get(String(key));
      if (owner !== undefined) return { place: owner.place, path: [...owner.path, ...rest] };
      // What is missing is missed where the connection stands, if there is one and it should be there.
      const isOfConnection = found !== undefined && key !== undefined &&
        String(key) in connector.connectionOptions;
      const at = isOfConnection ? found : fallback;
      return { place: at.place, path: [...at.path, ...path] };
    },
  };
}

function onlyKeys(value: unknown, entries: Readonly<Record<string, unknown>>): Options {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter(([key]) => Object.hasOwn(entries, key)),
  );
}

/** The connector by `kind`, else by the scheme of `url` or `dsn`. */
function connectorOf(
  raw: RawEndpoint,
  found: FoundConnection | undefined,
  use: Use,
  context: ResolveContext,
): Connector | undefined {
  const { problems } = context;
  const usable = context.connectors.filter(use.can);
  const kinds = usable.map((connector) => connector.kind);
  const valid = `valid kinds: ${kinds.join(", ")}`;
  const [owner] = [found, raw].filter((part) => part?.value["kind"] !== undefined);
  const own = raw.value["kind"];
  const kind = owner?.value["kind"];
  if (owner === undefined || kind === undefined) {
    const before = problems.count;
    const connector = connectorByUrl(found, raw, context);
    if (connector === undefined) {
      // The url's own trouble is why.
      if (problems.count > before) return undefined;
      const at = found ?? raw;
      const name = found?.name === undefined ? `the ${use.name}` : `connection '${found.name}'`;
      problems.add(
        at.place,
        at.path,
        `nothing says what kind of system ${name} is: neither ${
          keyName("kind", at.place.spelling)
        } nor a url whose scheme is known`,
        `give kind = "…"; ${valid}`,
      );
      return undefined;
    }
    return usableOr(connector, at(found, raw), use, problems, valid);
  }
  const path = [...owner.path, "kind"];
  if (own !== undefined && own !== kind) {
    problems.add(
      raw.place,
      [...raw.path, "kind"],
      `connection '${found?.name ?? ""}' is of kind ${JSON.stringify(kind)}, not ${
        typeof own === "string" ? JSON.stringify(own) : "this"
      }`,
      "leave kind out where connection is given",
    );
    return undefined;
  }
  const connector = context.connectors.find((candidate) => candidate.kind === kind);
  if (connector === undefined) {
    const near = typeof kind === "string" ? nearestName(kind, kinds) : undefined;
    problems.add(
      owner.place,
      path,
      typeof kind === "string"
        ? `unknown kind ${JSON.stringify(kind)}`
        : "expected a text in quotes",
      near === undefined ? valid : `did you mean "${near}"?`,
    );
    return undefined;
  }
  return usableOr(connector, { place: owner.place, path }, use, problems, valid);
}

function at(found: FoundConnection | undefined, raw: RawEndpoint): PlacedPath {
  const owner = found ?? raw;
  return { place: owner.place, path: owner.path };
}

function usableOr(
  connector: Connector,
  at: PlacedPath,
  use: Use,
  problems: ProblemList,
  valid: string,
): Connector | undefined {
  if (use.can(connector)) return connector;
  problems.add(at.place, at.path, `a ${connector.kind} connection cannot be a ${use.name}`, valid);
  return undefined;
}

function connectorByUrl(
  found: FoundConnection | undefined,
  raw: RawEndpoint,
  context: ResolveContext,
): Connector | undefined {
  const parts: readonly (RawEndpoint | undefined)[] = [raw, found];
  for (const part of parts) {
    const key = part?.value["url"] === undefined ? "dsn" : "url";
    const url = part?.value[key];
    if (part === undefined || typeof url !== "string") continue;
    const troubles: (readonly [string, string])[] = [];
    const full = interpolate(url, {
      env: context.host.env,
      user: found?.name === undefined ? "the url" : `connection '${found.name}'`,
      report: (_path, message, hint) => troubles.push([message, hint]),
    });
    const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(String(full))?.[1]?.toLowerCase();
    const connector = context.connectors.find((candidate) =>
      scheme !== undefined && candidate.urlSchemes?.includes(scheme)
    );
    // What is wrong with its other parts is told when the options are filled in.
    if (connector !== undefined) return connector;
    const path = part.elsewhere?.[key] ?? [...part.path, key];
    for (const [message, hint] of troubles) context.problems.add(part.place, path, message, hint);
  }
  return undefined;
}
