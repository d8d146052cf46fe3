import type { Column } from "../../core/schema.ts";
import type { PreparedColumn } from "./preparation.ts";
import { engineType } from "./type_map.ts";

/** Types of Postgres itself have the same OIDs in every database. */
const TYPE_NAMES: Readonly<Record<number, string>> = {
  16: "bool",
  17: "bytea",
  20: "int8",
  21: "int2",
  23: "int4",
  25: "text",
  114: "json",
  700: "float4",
  701: "float8",
  1042: "bpchar",
  1043: "varchar",
  1082: "date",
  1083: "time",
  1114: "timestamp",
  1184: "timestamptz",
  1186: "interval",
  1266: "timetz",
  1700: "numeric",
  2950: "uuid",
  3802: "jsonb",
};

/** OID of `text`. */
export const TEXT_TYPE = 25;

/** The catalogue's name of a type that flow knows; `undefined` for the others, which are read as text. */
export function typeName(oid: number): string | undefined {
  return TYPE_NAMES[oid];
}

/** A column of a prepared query with its engine type. Types that only Postgres knows (enums, arrays, `inet` …) come as text. */
export function engineColumn({ name, dataTypeID, dataTypeModifier }: PreparedColumn): Column {
  const type = engineType(TYPE_NAMES[dataTypeID] ?? "", dataTypeModifier);
  return { name, type: type ?? "VARCHAR" };
}
