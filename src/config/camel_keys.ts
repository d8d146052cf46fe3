import type * as v from "valibot";
import type { OptionEntries } from "../core/connector.ts";

/** `bootstrap_servers` as a type becomes `bootstrapServers`. */
export type CamelName<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelName<Tail>>}`
  : Name;

/**
 * A type of options with TypeScript's names at every depth. Tables whose keys are the user's own data (`Record<string, …>`) keep those.
 */
export type CamelKeys<T> = unknown extends T ? T
  : T extends readonly (infer Item)[] ? readonly CamelKeys<Item>[]
  : T extends string | number | boolean | bigint | null | undefined | Date ? T
  : string extends keyof T ? { readonly [Key in keyof T]: CamelKeys<T[Key]> }
  : { readonly [Key in keyof T as Key extends string ? CamelName<Key> : Key]: CamelKeys<T[Key]> };

/** What a user writes for a connector's entries: TypeScript's names, defaults left out. */
export type OptionArguments<Entries extends OptionEntries> = CamelKeys<
  v.InferInput<v.ObjectSchema<Entries, undefined>>
>;

/** All keys of all members of a union, each optional. */
export type AnyOf<Union> = {
  readonly [Key in KeyOf<Union>]?: Union extends unknown
    ? Key extends keyof Union ? Union[Key] : never
    : never;
};

type KeyOf<Union> = Union extends unknown ? keyof Union : never;
