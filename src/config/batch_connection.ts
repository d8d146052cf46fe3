import type { BatchConnection } from "../core/batch_spec.ts";
import type { Connector } from "../core/connector.ts";
import type { FoundConnection } from "./connection_chain.ts";
import { connectionListing } from "./connection_listing.ts";
import { resolveConnection, type ResolveContext, typedConnection } from "./endpoint.ts";
import { isRecord } from "./key_names.ts";
import { keyName, type KeyPath, type Place } from "./problem.ts";

/** The connection that is meant when a definition names none. */
export const DEFAULT_CONNECTION = "default";

/** A connection as a definition gives it: its name, or the connection itself. */
export interface RawConnection {
  readonly value: unknown;
  readonly place: Place;
  readonly path: KeyPath;
  /** The definition names none, and this is the one that is taken then. */
  readonly isDefault?: boolean;
}

/** Resolves a connection of a declared pipeline; `undefined` after adding what is wrong with it to the problems. */
export async function batchConnection(
  raw: RawConnection,
  context: ResolveContext,
): Promise<BatchConnection | undefined> {
  const found = await foundConnection(raw, context);
  if (found === undefined) return undefined;
  const endpoint = await resolveConnection(found, context);
  if (endpoint === undefined) return undefined;
  const { connector, options } = endpoint;
  if (connector.openDatabase === undefined) {
    const name = found.name === undefined ? "a connection" : `connection '${found.name}'`;
    context.problems.add(
      raw.place,
      raw.path,
      `${name} (kind='${connector.kind}') cannot be used by a declared pipeline`,
      `kinds that can: ${databaseKinds(context.connectors).join(", ") || "none"}`,
    );
    return undefined;
  }
  const { shown } = connectionListing(found, [connector]);
  return {
    ...(found.name === undefined ? {} : { name: found.name }),
    kind: connector.kind,
    options,
    shown,
  };
}

async function foundConnection(
  { value, place, path, isDefault = false }: RawConnection,
  { chain, problems }: ResolveContext,
): Promise<FoundConnection | undefined> {
  if (typeof value === "string" && value !== "") {
    const found = await chain.find(value);
    if (found !== undefined) return found;
    const { message, hint } = await chain.notFound(value);
    const key = keyName("target_connection", place.spelling);
    if (!isDefault) problems.add(place, path, message, hint);
    else {
      const text = `no ${key} is given, and ${message}`;
      problems.add(place, [], text, `give ${key}; ${hint}`);
    }
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const typed = place.spelling === "module" ? typedConnection(value) : undefined;
  if (typed !== undefined) return typed;
  if (place.spelling === "toml") return { name: undefined, from: "file", value, place, path };
  problems.add(
    place,
    path,
    "expected a connection, such as postgres({…}), or the name of one",
  );
  return undefined;
}

function databaseKinds(connectors: readonly Connector[]): readonly string[] {
  return connectors.filter((connector) => connector.openDatabase !== undefined)
    .map((connector) => connector.kind);
}
