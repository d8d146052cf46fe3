import { FlowError } from "../core/error.ts";
import { nearestName } from "./key_names.ts";
import { originText, type Place, ProblemList } from "./problem.ts";

/** What pipelines are called in messages, and what to do when there is none. */
export interface PickWords {
  /** `streaming pipeline` or `pipeline`. */
  readonly kind: string;
  readonly noneHint: string;
  /** Names of pipelines of the other kind, and what to do with those. */
  readonly others: readonly string[];
  readonly othersHint: (name: string) => string;
}

/**
 * The pipeline of that name; without a name the only one.
 *
 * @throws FlowError `pipeline_unknown`, `pipeline_name_missing`, or `definition_invalid` for a name that two have.
 */
export function pickDefinition<Raw extends { readonly name: string; readonly place: Place }>(
  pipelines: readonly Raw[],
  name: string | undefined,
  { kind, noneHint, others, othersHint }: PickWords,
): Raw {
  const names = pipelines.map((pipeline) => pipeline.name);
  const [other] = others;
  if (name === undefined) {
    const [only, another] = pipelines;
    if (only !== undefined && another === undefined) return only;
    throw new FlowError(
      only === undefined
        ? `no ${kind} is defined`
        : `which ${kind}? There are ${names.length}: ${names.join(", ")}`,
      {
        code: only === undefined ? "pipeline_unknown" : "pipeline_name_missing",
        domain: "user",
        hint: only !== undefined
          ? "give its name"
          : other === undefined
          ? noneHint
          : othersHint(other),
      },
    );
  }
  const [found, again] = pipelines.filter((pipeline) => pipeline.name === name);
  if (found === undefined) {
    const near = nearestName(name, names);
    const hint = others.includes(name)
      ? othersHint(name)
      : near === undefined
      ? undefined
      : `did you mean ${near}?`;
    throw new FlowError(
      `no ${kind} named '${name}' is registered (known: ${names.join(", ") || "none"})`,
      { code: "pipeline_unknown", domain: "user", ...(hint === undefined ? {} : { hint }) },
    );
  }
  if (again !== undefined) {
    const problems = new ProblemList();
    addTwice(problems, kind, found, again);
    problems.throwIfAny();
  }
  return found;
}

/** Adds the problem of two pipelines that share a name. */
export function addTwice(
  problems: ProblemList,
  kind: string,
  first: { readonly name: string; readonly place: Place },
  again: { readonly place: Place },
): void {
  const where = originText(first.place.locate([]));
  problems.add(
    again.place,
    [],
    `a ${kind} named '${first.name}' is defined twice; the first is at ${where}`,
    "give each pipeline a name of its own",
  );
}
