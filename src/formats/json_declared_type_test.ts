import assert from "node:assert/strict";
import { declaredType } from "./json_declared_type.ts";
import { typeText } from "./type_text.ts";

Deno.test("types that there are may be declared, in the engine's words and their aliases", () => {
  for (
    const [type, expected] of [
      ["int8", "BIGINT"],
      ["decimal(38, 38)", "DECIMAL(38,38)"],
      ["timestamptz", "TIMESTAMP WITH TIME ZONE"],
      [
        "STRUCT(a text[], b MAP(varchar, int))[]",
        'STRUCT("a" VARCHAR[], "b" MAP(VARCHAR, INTEGER))[]',
      ],
      ["ENUM('a', 'b')", "ENUM('a', 'b')"],
    ] as const
  ) assert.equal(typeText(declaredType({ name: "f", type })), expected);
});

Deno.test("a type that there is not is told with the field and the nearest one", () => {
  for (
    const [type, message, hint] of [
      ["BIGINTT", /'f' is declared as 'BIGINTT': there is no type BIGINTT/, /BIGINT\?/],
      ["STRUCT(a INT, b VARCHR)[]", /there is no type VARCHR/, /VARCHAR\?/],
      ["MAP(VARCHAR, DECIMAL(50,2))", /1 to 38 digits/, /DECIMAL/],
      ["DECIMAL(4,5)", /1 to 38 digits/, /DECIMAL/],
    ] as const
  ) {
    assert.throws(() => declaredType({ name: "f", type }), {
      code: "type_text_invalid",
      message,
      hint,
    });
  }
});
