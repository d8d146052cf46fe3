import * as v from "valibot";
import type { Connector } from "../core/connector.ts";
import { redactText } from "../core/error.ts";
import type { ConnectionListing } from "../core/request.ts";
import { redactUrl } from "../core/secret.ts";
import type { FoundConnection } from "./connection_chain.ts";
import { isReference } from "./interpolate.ts";
import { keyName } from "./problem.ts";
import { mayShow } from "./validate.ts";

/** A connection in one redacted line. `${VAR}` is shown as it is written, never filled in. */
export function connectionListing(
  { name, from, value, place }: FoundConnection,
  connectors: readonly Connector[],
): ConnectionListing {
  const url = value["url"] ?? value["dsn"];
  const scheme = typeof url === "string" ? /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1] : undefined;
  const kind = value["kind"];
  const connector = connectors.find((candidate) =>
    candidate.kind === kind ||
    (kind === undefined && scheme !== undefined &&
      candidate.urlSchemes?.includes(scheme.toLowerCase()))
  );
  return {
    name: name ?? "",
    kind: connector?.kind ?? (typeof kind === "string" ? kind : "unknown"),
    shown: typeof url === "string"
      ? redactUrl(url.replaceAll("$${", "${"))
      : shownOptions(value, place.spelling, connector),
    from,
  };
}

function shownOptions(
  value: FoundConnection["value"],
  spelling: FoundConnection["place"]["spelling"],
  connector: Connector | undefined,
): string {
  const schema = v.object({
    ...connector?.connectionOptions,
    ...connector?.sourceOptions,
    ...connector?.targetOptions,
  });
  return Object.entries(value).flatMap(([key, item]) => {
    if (key === "kind") return [];
    const name = keyName(key, spelling);
    if (typeof item === "object") return [`${name}=…`];
    const text = String(item);
    return [`${name}=${mayShow(schema, [key]) || isReference(text) ? redactText(text) : "***"}`];
  }).join(" ");
}
