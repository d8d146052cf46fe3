import assert from "node:assert/strict";
import { parseType, typeText } from "./type_text.ts";

Deno.test("parseType takes DuckDB's type texts apart", () => {
  assert.deepEqual(parseType('STRUCT(id BIGINT, "a ""b" DECIMAL(9,2)[3][])'), {
    kind: "struct",
    fields: [
      { name: "id", type: { kind: "scalar", name: "BIGINT" } },
      {
        name: 'a "b',
        type: {
          kind: "list",
          element: {
            kind: "list",
            element: { kind: "decimal", precision: 9, scale: 2 },
            length: 3,
          },
        },
      },
    ],
  });
  assert.deepEqual(parseType("MAP(VARCHAR, TIMESTAMP WITH TIME ZONE)"), {
    kind: "map",
    key: { kind: "scalar", name: "VARCHAR" },
    value: { kind: "scalar", name: "TIMESTAMP WITH TIME ZONE" },
  });
  assert.deepEqual(parseType("ENUM('a', 'b''c,)')"), { kind: "enum", values: ["a", "b'c,)"] });
  assert.deepEqual(parseType("STRUCT(TIMESTAMP WITH TIME ZONE, INTEGER[])"), {
    kind: "struct",
    fields: [
      { name: "", type: { kind: "scalar", name: "TIMESTAMP WITH TIME ZONE" } },
      { name: "", type: { kind: "list", element: { kind: "scalar", name: "INTEGER" } } },
    ],
  });
  assert.deepEqual(parseType('"NULL"[]'), {
    kind: "list",
    element: { kind: "scalar", name: "NULL" },
  });
});

Deno.test("parseType knows the usual aliases", () => {
  for (
    const [alias, name] of [
      ["int", "INTEGER"],
      ["text", "VARCHAR"],
      ["character varying(10)", "VARCHAR"],
      ["varchar(10)", "VARCHAR"],
      ["double precision", "DOUBLE"],
      ["timestamptz", "TIMESTAMP WITH TIME ZONE"],
      ["timestamp(6) with time zone", "TIMESTAMP WITH TIME ZONE"],
      ["timestamp without time zone", "TIMESTAMP"],
      ["datetime", "TIMESTAMP"],
      ["numeric(10, 2)", "DECIMAL(10,2)"],
      ["bool[]", "BOOLEAN[]"],
    ] as const
  ) assert.equal(typeText(parseType(alias)), name);
});

Deno.test("typeText is the inverse of parseType", () => {
  for (
    const text of [
      'STRUCT("a" BIGINT, "b c" MAP(VARCHAR, DOUBLE[]))',
      'UNION("num" INTEGER, "str" VARCHAR)',
      "ENUM('a', 'b''c')[2]",
      "STRUCT(INTEGER, VARCHAR)",
    ]
  ) assert.equal(typeText(parseType(text)), text);
});

Deno.test("parseType says where a text is wrong", () => {
  for (const text of ["", "STRUCT(a", "MAP(VARCHAR)", "ENUM(a)", "BIGINT]", "STRUCT(a BIGINT,)"]) {
    assert.throws(() => parseType(text), { code: "type_text_invalid" }, text);
  }
});
