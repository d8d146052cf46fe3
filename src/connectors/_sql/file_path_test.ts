import assert from "node:assert/strict";
import { databaseFilePath } from "./file_path.ts";

const PATHS: readonly (readonly [options: Record<string, string>, path: string])[] = [
  [{ path: "out/x.duckdb" }, "out/x.duckdb"],
  [{ url: "duckdb:///var/x.duckdb" }, "/var/x.duckdb"],
  [{ dsn: "duckdb://out/x.duckdb" }, "out/x.duckdb"],
  [{ url: "DUCKDB:x.duckdb" }, "x.duckdb"],
  [{ url: "duckdb:///var/a%20b%.duckdb" }, "/var/a%20b%.duckdb"],
  [{ url: "duckdb:///var/a%20b.duckdb" }, "/var/a b.duckdb"],
];

for (const [options, path] of PATHS) {
  Deno.test(`databaseFilePath of ${JSON.stringify(options)}`, () => {
    assert.equal(databaseFilePath("duckdb", options), path);
  });
}

Deno.test("databaseFilePath refuses none, two, memory, and parameters", () => {
  const refused: readonly (readonly [options: Record<string, string>, code: string])[] = [
    [{}, "option_missing"],
    [{ path: "a", url: "duckdb://a" }, "option_invalid"],
    [{ path: ":memory:" }, "option_invalid"],
    [{ url: "duckdb://" }, "option_invalid"],
    [{ url: "duckdb://a?mode=ro" }, "option_invalid"],
    [{ url: "sqlite://a" }, "option_invalid"],
  ];
  for (const [options, code] of refused) {
    assert.throws(() => databaseFilePath("duckdb", options), { code });
  }
});
