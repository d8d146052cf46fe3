import assert from "node:assert/strict";
import { compressionOf, formatFromPath } from "./file_format.ts";
import { parsePattern } from "./glob.ts";

Deno.test("formatFromPath tells the format by the name, compression aside", () => {
  for (
    const [path, format] of [
      ["s3://bucket/year=2026/events.csv.gz", "csv"],
      ["logs.ndjson", "json_lines"],
      ["logs.JSONL.zst", "json_lines"],
      ["data.parquet", "parquet"],
      ["data.pq", "parquet"],
      ["a.tsv.bz2", "csv"],
      ["a.json.lz4", "json"],
      ["a.orc.snappy", "orc"],
      ["unknown.xml", null],
      ["data.csv?download=true", null],
      ["noextension", null],
      ["dir.csv/file", null],
      ["constructor", null],
      ["x.constructor", null],
    ] as const
  ) assert.equal(formatFromPath(path), format, path);
});

Deno.test("compressionOf tells the compression by the name", () => {
  assert.equal(compressionOf("a.csv"), "none");
  assert.equal(compressionOf("a.csv.gz"), "gzip");
  assert.equal(compressionOf("a.json.zst"), "zstd");
  assert.equal(compressionOf("a.csv.LZ4"), "lz4");
  assert.equal(compressionOf("a.csv.snappy"), "snappy");
  assert.equal(compressionOf("a.csv.bz2"), "bzip2");
});

Deno.test("parsePattern takes globs, folders and files", () => {
  for (
    const [query, path, expected] of [
      ["raw/*.json", "raw/a.json", true],
      ["raw/*.json", "raw/x/a.json", false],
      ["raw/**/*.json", "raw/a.json", true],
      ["raw/**/*.json", "raw/x/y/a.json", true],
      ["**", "a/b/c", true],
      ["events/", "events/a/b.csv", true],
      ["events", "events2/b.csv", false],
      ["./events", "events/b.csv", true],
      ["a.csv", "a.csv", true],
      ["a.csv", "aXcsv", false],
      ["a?.csv", "ab.csv", true],
      ["[a-c]1.csv", "b1.csv", true],
      ["[!a-c]1.csv", "b1.csv", false],
      ["x.{csv,json}", "x.json", true],
      ["x.{csv,json}", "x.xml", false],
      ["a+b(1).csv", "a+b(1).csv", true],
      ["", "anything/at.all", true],
      [".", "anything/at.all", true],
    ] as const
  ) assert.equal(parsePattern(query).matches(path), expected, `${query} ${path}`);
  assert.equal(parsePattern("a/b/*.csv").folder, "a/b");
  for (const query of ["../x", "a/../../b", "/etc/*", "x.{csv"]) {
    assert.throws(() => parsePattern(query), { code: "definition_invalid" }, query);
  }
});
