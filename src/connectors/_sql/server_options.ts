import * as v from "valibot";
import { secretText } from "../../core/connector.ts";
import type { Secret } from "../../core/secret.ts";

type OptionalOf<T, Input = T> = v.OptionalSchema<v.GenericSchema<Input, T>, undefined>;

/** An optional text that is not empty. */
export function textOption(description: string): OptionalOf<string> {
  return v.optional(v.pipe(v.string(), v.nonEmpty(), v.description(description)));
}

/** An optional text that must never be shown. */
export function secretOption(description: string): OptionalOf<Secret, string> {
  return v.optional(v.pipe(secretText(), v.description(description)));
}

/** An optional time in whole milliseconds. */
export function millisecondsOption(description: string): OptionalOf<number> {
  return v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.description(description)));
}

/** The port of a database server. */
export function portOption(standard: number): OptionalOf<number> {
  return v.optional(v.pipe(
    v.number(),
    v.integer(),
    v.minValue(1),
    v.maxValue(65535),
    v.description(`TCP port; ${standard} by default`),
  ));
}

/** Beside `url`. */
export const dsnOption: OptionalOf<Secret, string> = secretOption("Another name of url");

/** How long a database server may take to let flow in. */
export const connectTimeoutOption: OptionalOf<number> = millisecondsOption(
  "Longest time to wait for a connection, in milliseconds; 10000 by default",
);
