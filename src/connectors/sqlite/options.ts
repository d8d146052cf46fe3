import * as v from "valibot";

/** Where the file is: `path`, or its URL. */
export const sqliteConnectionOptions = {
  path: v.optional(v.pipe(
    v.string(),
    v.nonEmpty(),
    v.description("Path of the SQLite file; made by the first run where it is missing"),
  )),
  url: v.optional(v.pipe(
    v.string(),
    v.nonEmpty(),
    v.description("sqlite:///absolute/path.db or sqlite://relative/path.db, instead of path"),
  )),
  dsn: v.optional(v.pipe(v.string(), v.nonEmpty(), v.description("Another name of url"))),
};
