import type { SqlValue } from "../../core/session.ts";
import { typeName } from "./column_types.ts";
import type { Result } from "./connection.ts";

/** A result's rows with whole numbers as bigint, booleans as boolean, bytes as bytes; everything else is text as the server prints it. */
export function resultRows({ rows, fields }: Result<unknown>): Record<string, SqlValue>[] {
  const columns = fields.map(({ name, dataTypeID }) => ({
    name,
    value: valueOf(typeName(dataTypeID)),
  }));
  return rows.map((row) => {
    const texts = row as Readonly<Record<string, string | null>>;
    const plain: Record<string, SqlValue> = {};
    for (const { name, value } of columns) {
      const text = texts[name];
      plain[name] = text === null || text === undefined ? null : value(text);
    }
    return plain;
  });
}

function valueOf(type: string | undefined): (text: string) => SqlValue {
  switch (type) {
    case "int2":
    case "int4":
    case "int8":
      return (text) => BigInt(text);
    case "bool":
      return (text) => text === "t";
    case "bytea":
      return (text) => Uint8Array.fromHex(text.slice(2));
    default:
      return (text) => text;
  }
}
