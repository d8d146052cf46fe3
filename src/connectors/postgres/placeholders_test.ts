import assert from "node:assert/strict";
import { replacePlaceholders } from "./placeholders.ts";

const marked = (sql: string) => replacePlaceholders(sql, (index) => `<${index}>`);

Deno.test("placeholders are replaced, wherever they stand as such", () => {
  assert.equal(marked("SELECT $1, $12::int, ($2)"), "SELECT <1>, <12>::int, (<2>)");
  assert.equal(marked("$1-$2"), "<1>-<2>");
  assert.equal(marked("e$1 = e"), "e$1 = e", "a dollar sign within a name");
});

Deno.test("what only looks like a placeholder stays", () => {
  for (
    const text of [
      "'$1'",
      "'it''s $1'",
      "E'\\'$1'",
      "e'a''$1\\\\'",
      '"$1 ""$2"',
      "-- $1",
      "/* $1 /* $2 */ $3 */",
      "$$ $1 $$",
      "$tag$ $1 $$ $2 $tag$",
      "'\\'",
    ]
  ) {
    assert.equal(marked(`${text}\n, $9`), `${text}\n, <9>`, text);
  }
});
