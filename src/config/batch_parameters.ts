import type { SqlValue } from "../core/session.ts";
import type { PipelineShape } from "./batch_schema.ts";
import { WATERMARK } from "./batch_target_checks.ts";
import { isRecord, nearestName, snakeName } from "./key_names.ts";
import { keyName, type Place, type ProblemList } from "./problem.ts";
import { findParameters } from "./sql_parameters.ts";

/**
 * The values of a query's `$name`s, as a database takes them. Names without a value and values without a name become problems: either is a
 * slip of the pen.
 */
export function parameterValues(
  { source, parameters = {} }: Pick<Partial<PipelineShape>, "source" | "parameters">,
  { place, problems, kind, given: raw }: {
    readonly place: Place;
    readonly problems: ProblemList;
    /** Of the database whose SQL the query is written in, where it is known. */
    readonly kind: string | undefined;
    /** The definition as it was written: what is wrong in itself there has been told already. */
    readonly given: Readonly<Record<string, unknown>>;
  },
): Readonly<Record<string, SqlValue>> {
  const used = new Set(
    source === undefined ? [] : findParameters(source, kind).map(({ name }) => name),
  );
  const given = Object.keys(isRecord(raw["parameters"]) ? raw["parameters"] : {});
  const key = keyName("parameters", place.spelling);
  const isSourceWrong = source === undefined && raw["source"] !== undefined;
  for (const name of used) {
    if (name === WATERMARK || given.includes(name)) continue;
    const near = nearestName(name, [...given, WATERMARK]);
    problems.add(
      place,
      ["source"],
      `the query uses $${name}, and ${key} gives no value for it`,
      near === undefined ? `add ${name} to ${key}` : `did you mean $${near}?`,
    );
  }
  for (const name of given) {
    // Names of parameters are the user's own data: messages show them as they are written.
    const path = ["parameters", place.spelling === "module" ? snakeName(name) : name];
    if (name === WATERMARK) {
      const message = "$watermark is flow's own: the highest value that earlier runs have read";
      problems.add(place, path, message, "call yours by another name");
    } else if (!used.has(name) && !isSourceWrong) {
      const near = nearestName(name, [...used].filter((one) => !given.includes(one)));
      const message = `the query does not use $${name}`;
      problems.add(place, path, message, near === undefined ? "leave it out" : `it uses $${near}`);
    }
  }
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [
      name,
      value instanceof Date ? value.toISOString() : value,
    ]),
  );
}
