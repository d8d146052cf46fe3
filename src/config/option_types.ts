// deno-lint-ignore-file flow/layers -- types only, erased when run: the builders' arguments are derived from what connectors declare
import type * as v from "valibot";
import type { OptionEntries } from "../core/connector.ts";
import type { sourceOptions as datagenSourceOptions } from "../connectors/datagen/options.ts";
import type { duckdbConnectionOptions } from "../connectors/duckdb/options.ts";
import type {
  kafkaConnectionOptions,
  kafkaSourceOptions,
  kafkaTargetOptions,
} from "../connectors/kafka/options.ts";
import type { mysqlConnectionOptions } from "../connectors/mysql/options.ts";
import type {
  connectionOptions as objectStoreLocalConnectionOptions,
  sourceOptions as objectStoreLocalSourceOptions,
  targetOptions as objectStoreLocalTargetOptions,
} from "../connectors/object_store_local/options.ts";
import type { postgresConnectionOptions } from "../connectors/postgres/options.ts";
import type { sqliteConnectionOptions } from "../connectors/sqlite/options.ts";
import type { AnyOf, OptionArguments } from "./camel_keys.ts";

interface Entries {
  readonly connection: OptionEntries;
  readonly source: OptionEntries;
  readonly target: OptionEntries;
}

type None = Record<never, never>;

/** The entries of every kind that has a builder. */
interface KindEntries {
  readonly kafka: {
    readonly connection: typeof kafkaConnectionOptions;
    readonly source: typeof kafkaSourceOptions;
    readonly target: typeof kafkaTargetOptions;
  };
  readonly postgres: {
    readonly connection: typeof postgresConnectionOptions;
    readonly source: None;
    readonly target: None;
  };
  readonly mysql: {
    readonly connection: typeof mysqlConnectionOptions;
    readonly source: None;
    readonly target: None;
  };
  readonly duckdb: {
    readonly connection: typeof duckdbConnectionOptions;
    readonly source: None;
    readonly target: None;
  };
  readonly sqlite: {
    readonly connection: typeof sqliteConnectionOptions;
    readonly source: None;
    readonly target: None;
  };
  readonly object_store_local: {
    readonly connection: typeof objectStoreLocalConnectionOptions;
    readonly source: typeof objectStoreLocalSourceOptions;
    readonly target: typeof objectStoreLocalTargetOptions;
  };
  readonly datagen: {
    readonly connection: None;
    readonly source: typeof datagenSourceOptions;
    readonly target: None;
  };
  readonly memory: {
    readonly connection: {
      readonly broker: v.OptionalSchema<v.StringSchema<undefined>, "default">;
    };
    readonly source: None;
    readonly target: None;
  };
}

/** The kinds of connections that have a builder. */
export type Kind = keyof KindEntries;

type EntriesOf<K extends Kind> = KindEntries[K] extends Entries ? KindEntries[K] : never;

type Arguments<K extends Kind, Use extends keyof Entries> = OptionArguments<EntriesOf<K>[Use]>;

/**
 * What a connection's builder takes: what its kind needs to connect, and, as defaults for its uses, the options of sources and targets.
 */
export type ConnectionArguments<K extends Kind> =
  & { readonly name?: string }
  & Arguments<K, "connection">
  & Partial<Arguments<K, "source">>
  & Partial<Arguments<K, "target">>;

/** Options of one source: those of its kind, and those of the connection that shall differ. */
export type SourceOptionsOf<K extends Kind> =
  & Partial<Arguments<K, "source">>
  & Partial<Arguments<K, "connection">>;

/** Options of one target: those of its kind, and those of the connection that shall differ. */
export type TargetOptionsOf<K extends Kind> =
  & Partial<Arguments<K, "target">>
  & Partial<Arguments<K, "connection">>;

type Each<Use extends "source" | "target"> = {
  [K in Kind]: Use extends "source" ? SourceOptionsOf<K> : TargetOptionsOf<K>;
}[Kind];

/** Options of a source whose kind is not known to the types, since its connection is given by name. */
export type AnySourceOptions = AnyOf<Each<"source">>;

/** Options of a target whose kind is not known to the types, since its connection is given by name. */
export type AnyTargetOptions = AnyOf<Each<"target">>;
