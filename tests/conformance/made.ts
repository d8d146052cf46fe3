import * as v from "valibot";
import type { Connector, SinkRequest } from "../../src/core/connector.ts";
import type { Sink } from "../../src/core/sink.ts";
import type { Source } from "../../src/core/source.ts";
import type { SinkAsk } from "./sink_suite.ts";

/** A source of the connector, its options validated as those of a definition are. */
export function sourceOf(
  connector: Connector,
  query: string,
  options: Record<string, unknown>,
): Source {
  const schema = v.strictObject({ ...connector.connectionOptions, ...connector.sourceOptions });
  const source = connector.createSource?.({
    sourceId: query,
    query,
    options: v.parse(schema, options),
  });
  if (source === undefined) throw new Error(`${connector.kind} has no source`);
  return source;
}

/** A sink of the connector into the table `events`, its options validated as those of a definition are. */
export function sinkOf(
  connector: Connector,
  options: Record<string, unknown>,
  ask: SinkAsk = {},
  table: Partial<Pick<SinkRequest, "table">> = { table: { name: "events" } },
): Sink {
  const schema = v.strictObject({ ...connector.connectionOptions, ...connector.targetOptions });
  const sink = connector.createSink?.({
    options: v.parse(schema, options),
    mode: "append",
    keys: [],
    create: true,
    ...table,
    ...ask,
  });
  if (sink === undefined) throw new Error(`${connector.kind} has no sink`);
  return sink;
}

/** A JSON value as the text that the sink suite compares: strings without quotes, anything else as it is written. */
export function textOf(json: string | null): string | null {
  return json === null || !json.startsWith('"') ? json : JSON.parse(json) as string;
}

/** The members of a JSON object without blanks, each as the text it is written as. No member of an inner object may have an outer name. */
export function membersOf(line: string): Record<string, string | null> {
  const members = Object.keys(JSON.parse(line) as object);
  const row: Record<string, string | null> = {};
  let rest = line.slice(1, -1);
  members.forEach((member, at) => {
    const start = `${JSON.stringify(member)}:`.length;
    const next = members[at + 1];
    const end = next === undefined ? rest.length : rest.indexOf(`,${JSON.stringify(next)}:`);
    const value = rest.slice(start, end);
    row[member] = value === "null" ? null : textOf(value);
    rest = rest.slice(end + 1);
  });
  return row;
}
