import assert from "node:assert/strict";
import { queryText } from "./query_text.ts";

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
