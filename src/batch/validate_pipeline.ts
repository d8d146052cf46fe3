import type { BatchSpec, BatchTarget } from "../core/batch_spec.ts";
import type { Dialect } from "../core/database.ts";
import { hasCommonValues, isMomentType, isNumericType } from "../core/engine_type.ts";
import { type FlowError, toFlowError } from "../core/error.ts";
import type { BatchDependencies } from "./dependencies.ts";
import { type PreparedLoad, prepareLoad } from "./prepare_load.ts";
import type { ProjectedColumn } from "./projection.ts";
import { withSessions } from "./run_target.ts";
import { shownTable } from "./target_table.ts";
import { isNumberType, typeRelation } from "./type_relation.ts";

/**
 * Checks a pipeline against its databases without running anything: the query is prepared on the source's connection, its columns and types are
 * compared with the declared ones, and those with the target's table.
 *
 * @returns what is wrong, each once; empty when nothing is
 */
export async function validatePipeline(
  spec: BatchSpec,
  deps: BatchDependencies,
): Promise<string[]> {
  const problems = new Set<string>();
  for (const target of spec.targets) {
    for (const problem of await targetProblems(spec, target, deps)) problems.add(problem);
  }
  return [...problems];
}

async function targetProblems(
  spec: BatchSpec,
  target: BatchTarget,
  deps: BatchDependencies,
): Promise<readonly string[]> {
  try {
    return await withSessions(spec, target, deps, "look", async (sessions) => {
      const prepared = await prepareLoad(spec, target, sessions);
      return unassignable(prepared, sessions.from.dialect, shownTable(target.table.ref));
    });
  } catch (thrown) {
    if (deps.signal.aborted) throw thrown;
    const error = toFlowError(thrown);
    if (error.domain === "internal") throw error;
    return [problemText(error)];
  }
}

function problemText(error: FlowError): string {
  return error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
}

function unassignable(
  { pairs }: PreparedLoad,
  source: Dialect,
  table: string,
): readonly string[] {
  return pairs.filter((pair) => !isAssignable(pair, source)).map(({ from, to }) =>
    `the query gives \`${from.name}\` as ${from.type}, and ${table} declares ${to.type}: cast it in the query`
  );
}

/** True when values of the query's type can become the declared type at all; single values may still not fit. */
function isAssignable({ from, to }: ProjectedColumn, source: Dialect): boolean {
  if (to.type === "VARCHAR" || from.type === to.type) return true;
  if (source.keepsAnyValue || to.normalizers.includes("parse_timestamp")) return true;
  if (isNumberType(from.ownType)) return isNumericType(to.type);
  if (from.type === "VARCHAR") return /^(JSON|UUID|ENUM\(.*)$/.test(to.type);
  return [from, to].every(({ type }) => isSimple(type))
    ? hasCommonValues(from.type, to.type)
    : typeRelation(to, { type: from.type }, false) !== "conflict";
}

function isSimple(type: string): boolean {
  return isNumericType(type) || isMomentType(type) || type === "BOOLEAN";
}
