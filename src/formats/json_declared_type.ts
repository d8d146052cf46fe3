import { closest } from "fastest-levenshtein";
import { FlowError } from "../core/error.ts";
import type { Column } from "../core/schema.ts";
import { INTEGER_TYPES } from "../core/engine_type.ts";
import { parseType, type TypeNode } from "./type_text.ts";

/** Scalar types that values of JSON can be declared as. */
const SCALARS: readonly string[] = [
  ...INTEGER_TYPES,
  "BOOLEAN",
  "BIGNUM",
  "FLOAT",
  "DOUBLE",
  "VARCHAR",
  "BLOB",
  "BIT",
  "DATE",
  "TIME",
  "TIME WITH TIME ZONE",
  "TIMESTAMP",
  "TIMESTAMP_S",
  "TIMESTAMP_MS",
  "TIMESTAMP_NS",
  "TIMESTAMP WITH TIME ZONE",
  "INTERVAL",
  "UUID",
  "JSON",
];

const MAX_DIGITS = 38;

/**
 * The type that `[source.columns]` declares for a field.
 *
 * @throws FlowError `type_text_invalid` (user) for a type that there is not, naming the field.
 */
export function declaredType(column: Column): TypeNode {
  const type = parseType(column.type);
  const problem = problemOf(type);
  if (problem === undefined) return type;
  throw new FlowError(
    `the field '${column.name}' is declared as '${column.type}': ${problem.problem}`,
    { code: "type_text_invalid", domain: "user", hint: problem.hint },
  );
}

interface Problem {
  readonly problem: string;
  readonly hint: string;
}

function problemOf(type: TypeNode): Problem | undefined {
  switch (type.kind) {
    case "scalar":
      return SCALARS.includes(type.name) ? undefined : {
        problem: `there is no type ${type.name}`,
        hint: `did you mean ${closest(type.name, [...SCALARS, "DECIMAL"])}?`,
      };
    case "decimal":
      return type.precision >= 1 && type.precision <= MAX_DIGITS && type.scale <= type.precision
        ? undefined
        : {
          problem: `a DECIMAL has 1 to ${MAX_DIGITS} digits, of which not more are fractional`,
          hint: `write DECIMAL(18,2), or VARCHAR for longer numbers`,
        };
    case "enum":
      return undefined;
    case "list":
      return problemOf(type.element);
    case "struct":
      return firstProblem(type.fields.map((field) => field.type));
    case "union":
      return firstProblem(type.members.map((member) => member.type));
    case "map":
      return firstProblem([type.key, type.value]);
  }
}

function firstProblem(types: readonly TypeNode[]): Problem | undefined {
  return types.map(problemOf).find((problem) => problem !== undefined);
}
