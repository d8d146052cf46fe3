import * as v from "valibot";

/** Where the file is: `path`, or its URL. */
export const duckdbConnectionOptions = {
  path: v.optional(v.pipe(
    v.string(),
    v.nonEmpty(),
    v.description("Path of the DuckDB file; made with the first batch where it is missing"),
  )),
  url: v.optional(v.pipe(
    v.string(),
    v.nonEmpty(),
    v.description(
      "duckdb:///absolute/path.duckdb or duckdb://relative/path.duckdb, instead of path",
    ),
  )),
  dsn: v.optional(v.pipe(v.string(), v.nonEmpty(), v.description("Another name of url"))),
  max_memory_mib: v.optional(v.pipe(
    v.number(),
    v.integer(),
    v.minValue(128),
    v.description(
      "What DuckDB may use at most for statements on the file (joins, sorts, indexes), in MiB; 1024 by default",
    ),
  )),
};
