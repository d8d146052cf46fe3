import * as v from "valibot";
import type { RawDefinition } from "../core/request.ts";
import type { ModulePositions } from "./source_positions.ts";

/** What the host asks of the user's isolate: to run the module and tell what it defined. */
export interface ToUser {
  readonly entryUrl: string;
  readonly modules: readonly ModulePositions[];
}

/** A module's failure, with the user's own places. */
export interface ModuleFailure {
  /** `TypeError: x is not a function`. */
  readonly message: string;
  /** Where it was thrown: the first frame in the user's files. */
  readonly place?: { readonly file: string; readonly line: number; readonly column: number };
  /** The frames in the user's files, one a line. */
  readonly frames: readonly string[];
  /** Code and hint of the error when it was one of flow's own (a builder refused its arguments). */
  readonly flow?: { readonly code: string; readonly message: string; readonly hint?: string };
  /** What Deno refused, if that is why. */
  readonly denial?: { readonly kind: string; readonly target?: string };
}

/** What the user's isolate tells. */
export type FromUser =
  /** The code of the module with this number begins to run. */
  | { readonly type: "begins"; readonly number: number }
  | { readonly type: "definitions"; readonly definitions: readonly RawDefinition[] }
  | { readonly type: "failed"; readonly failure: ModuleFailure };

const Place = v.object({ file: v.string(), line: v.number(), column: v.number() });

const KINDS = ["read", "write", "net", "env", "sys", "run", "ffi", "import"] as const;

const Message = v.variant("type", [
  v.object({ type: v.literal("begins"), number: v.number() }),
  v.object({
    type: v.literal("definitions"),
    definitions: v.array(v.object({
      kind: v.picklist(["streaming_pipeline", "pipeline", "connection"]),
      name: v.string(),
      value: v.record(v.string(), v.unknown()),
      origin: v.object({
        file: v.string(),
        line: v.optional(v.number()),
        column: v.optional(v.number()),
      }),
    })),
  }),
  v.object({
    type: v.literal("failed"),
    failure: v.object({
      message: v.string(),
      place: v.optional(Place),
      frames: v.array(v.string()),
      flow: v.optional(
        v.object({ code: v.string(), message: v.string(), hint: v.optional(v.string()) }),
      ),
      denial: v.optional(v.object({ kind: v.picklist(KINDS), target: v.optional(v.string()) })),
    }),
  }),
]);

/** A message as the host takes it: user code runs where it was made, so its shape is checked. */
export type CheckedFromUser = v.InferOutput<typeof Message>;

/** The message, or `undefined` when it has another shape (the user's code can post whatever it likes). */
export function checkFromUser(data: unknown): CheckedFromUser | undefined {
  const result = v.safeParse(Message, data);
  return result.success ? result.output : undefined;
}
