import { FlowError } from "../core/error.ts";
import type { RawBatch } from "./batch.ts";
import { nearestName } from "./key_names.ts";
import { keyName, originText, type ProblemList } from "./problem.ts";

/** The names that a pipeline depends on, as far as they are names. */
export function upstreamsOf({ value }: RawBatch): readonly string[] {
  const given = value["depends_on"];
  return Array.isArray(given) ? given.filter((name) => typeof name === "string") : [];
}

/** Adds a problem for each upstream that is no declared pipeline. */
export function addUnknownUpstreams(
  pipeline: RawBatch,
  known: readonly string[],
  streaming: readonly string[],
  problems: ProblemList,
): void {
  upstreamsOf(pipeline).forEach((name, index) => {
    if (known.includes(name)) return;
    const near = nearestName(name, known.filter((one) => one !== pipeline.name));
    const isStreaming = streaming.includes(name);
    problems.add(
      pipeline.place,
      ["depends_on", index],
      isStreaming
        ? `'${name}' is a streaming pipeline, which has no runs to wait for`
        : `no pipeline named '${name}' is declared`,
      near !== undefined
        ? `did you mean ${near}?`
        : isStreaming || known.length < 2
        ? undefined
        : `known: ${known.filter((one) => one !== pipeline.name).join(", ")}`,
    );
  });
}

/**
 * Looks for pipelines that wait for one another, from each of `starts` on.
 *
 * @throws FlowError `dependency_cycle`, whose message shows the ring
 */
export function checkCycles(starts: readonly RawBatch[], pipelines: readonly RawBatch[]): void {
  const byName = new Map(pipelines.map((pipeline) => [pipeline.name, pipeline]));
  const finished = new Set<string>();
  const path: string[] = [];
  const visit = (name: string): void => {
    const pipeline = byName.get(name);
    if (pipeline === undefined || finished.has(name)) return;
    const at = path.indexOf(name);
    if (at >= 0) throw cycleError(path.slice(at), pipelines);
    path.push(name);
    for (const upstream of upstreamsOf(pipeline)) visit(upstream);
    path.pop();
    finished.add(name);
  };
  for (const { name } of starts) visit(name);
}

/** Whichever member the search came upon first, the ring is told from the one on that is declared first. */
function cycleError(members: readonly string[], pipelines: readonly RawBatch[]): FlowError {
  const lead = pipelines.find((pipeline) => members.includes(pipeline.name));
  if (lead === undefined) throw new Error("the members of a ring are declared");
  const { name, place } = lead;
  const start = members.indexOf(name);
  const ring = [...members.slice(start), ...members.slice(0, start), name];
  const key = keyName("depends_on", place.spelling);
  const origin = originText(place.locate(["depends_on"]));
  return new FlowError(`${origin}: pipelines wait for one another: ${ring.join(" -> ")}`, {
    code: "dependency_cycle",
    domain: "user",
    hint: `take one of them out of ${key}`,
    details: { pipeline: name },
  });
}
