import type { RawBatch, TableSet } from "./batch.ts";
import { checkConnections, type FoundConnection } from "./connection_chain.ts";
import { isRecord } from "./key_names.ts";
import { tomlPipeline } from "./pipeline_schema.ts";
import { type KeyPath, type Place, ProblemList } from "./problem.ts";
import type { TomlDocument } from "./toml_document.ts";
import { addUnknownKey } from "./validate.ts";

/** What a file of declared pipelines holds. */
export interface DeclaredFile {
  readonly pipelines: readonly RawBatch[];
  readonly tables: TableSet;
  readonly connections: readonly FoundConnection[];
}

const KEYS = ["pipeline", "tables", "connections"];
/** What somebody writes who means one of them. */
const NEAR_KEYS = ["pipelines", "table", "connection"];

/**
 * The parts of a TOML file with `[[pipeline]]`; `undefined` for a file of a streaming pipeline.
 *
 * @throws FlowError `definition_invalid` when the file is a mixture of both, or its parts have not the form of tables.
 */
export function declaredFile(
  { value, place }: TomlDocument,
  file: string,
): DeclaredFile | undefined {
  const given = Object.keys(value);
  const streaming = given.filter((key) => Object.hasOwn(tomlPipeline.entries, key));
  const isDeclared = given.includes("pipeline") || given.includes("tables") ||
    (streaming.length === 0 && given.some((key) => [...KEYS, ...NEAR_KEYS].includes(key)));
  if (!isDeclared) return undefined;
  const problems = new ProblemList();
  for (const key of given) {
    if (KEYS.includes(key)) continue;
    if (!streaming.includes(key)) addUnknownKey(problems, place, [key], KEYS);
    else {
      const message = "belongs to a streaming pipeline, and this file holds declared ones";
      const hint = "put it into its [[pipeline]], or the streaming pipeline into a file of its own";
      problems.add(place, [key], message, hint);
    }
  }
  const pipelines = pipelinesOf(value["pipeline"], place, problems);
  const tables = tablesOf(value["tables"] ?? {}, place, problems);
  const connections = value["connections"] ?? {};
  checkConnections(problems, place, connections);
  problems.throwIfAny();
  return { pipelines, tables, connections: foundConnections(connections, place, file) };
}

function pipelinesOf(given: unknown, place: Place, problems: ProblemList): readonly RawBatch[] {
  if (given === undefined) return [];
  if (!Array.isArray(given) || !given.every(isRecord)) {
    const message = "expected a list of tables, one for each pipeline";
    problems.add(place, ["pipeline"], message, "write [[pipeline]], with two brackets");
    return [];
  }
  return given.map((value: Readonly<Record<string, unknown>>, index) => {
    const { name } = value;
    const path = ["pipeline", index];
    return {
      name: typeof name === "string" && name !== "" ? name : `pipeline[${index}]`,
      value,
      place: innerPlace(place, path),
    };
  });
}

function tablesOf(given: unknown, place: Place, problems: ProblemList): TableSet {
  const tables = isRecord(given) ? given : {};
  if (!isRecord(given)) problems.add(place, ["tables"], "expected tables such as [tables.events]");
  for (const [name, table] of Object.entries(tables)) {
    if (isRecord(table)) continue;
    problems.add(place, ["tables", name], "expected a table with schema, name, columns …");
  }
  return { place, tables };
}

function foundConnections(
  connections: unknown,
  place: Place,
  file: string,
): readonly FoundConnection[] {
  return Object.entries(isRecord(connections) ? connections : {}).flatMap(([name, value]) =>
    isRecord(value) ? [{ name, from: file, value, place, path: ["connections", name] }] : []
  );
}

/** The place of one part, whose paths begin within it. */
function innerPlace(place: Place, above: KeyPath): Place {
  return { spelling: place.spelling, locate: (path) => place.locate([...above, ...path]) };
}
