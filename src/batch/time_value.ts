import type { Dialect } from "../core/database.ts";
import type { Binder } from "./binder.ts";

/** A moment (microseconds since the epoch) as a parameter of type TIMESTAMP WITH TIME ZONE. */
export function timestampOf(bind: Binder, dialect: Dialect, micros: bigint): string {
  return bind.value(dialect.timestampValue(micros), "TIMESTAMP WITH TIME ZONE");
}
