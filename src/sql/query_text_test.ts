import assert from "node:assert/strict";
import { firstWord, isSeveralQueries, queryText } from "./query_text.ts";

const QUERIES: readonly (readonly [string, string])[] = [
  ["SELECT 1", "SELECT 1"],
  ["SELECT 1 ;\n; ", "SELECT 1"],
  ["SELECT 1; -- the end; of it", "SELECT 1"],
  ["SELECT 1 /* a;\n */ ;", "SELECT 1"],
  ["-- first\nSELECT 1", "-- first\nSELECT 1"],
  ["SELECT '--x;'", "SELECT '--x;'"],
  ["SELECT 'it''s; -- ';", "SELECT 'it''s; -- '"],
  ['SELECT 1 AS "a;--";', 'SELECT 1 AS "a;--"'],
  ["SELECT $$;--$$;", "SELECT $$;--$$"],
  ["SELECT 1; SELECT 2;", "SELECT 1; SELECT 2"],
  [" ; -- nothing", ""],
];

for (const [sql, query] of QUERIES) {
  Deno.test(`query text: ${JSON.stringify(sql)}`, () => assert.equal(queryText(sql), query));
}

Deno.test("query text: the word that it begins with, and whether there are several", () => {
  assert.equal(firstWord(" /* a */ -- b\n explain select 1"), "EXPLAIN");
  assert.equal(firstWord("(SELECT 1)"), "");
  assert.equal(firstWord(""), "");
  assert.equal(isSeveralQueries("SELECT 1; SELECT 2"), true);
  for (const one of ["SELECT 1;", "SELECT ';' AS a", "SELECT 1; -- x; y", "SELECT $$;$$ x"]) {
    assert.equal(isSeveralQueries(one), false, one);
  }
});
