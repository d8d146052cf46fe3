import assert from "node:assert/strict";
import {
  batchConnectors,
  batchProblems,
  DEFAULT_ENV,
  mysqlConnector,
  tomlBatch,
} from "./batch_fixtures.ts";

/** The problems of a pipeline with the lines given, whose table has declared columns. Its own lines begin at line 1. */
async function problems(lines: string, tableLines = ""): Promise<string[]> {
  return await batchProblems(tomlBatch(`[[pipeline]]
name = "p"
target = "t"
${lines}
[tables.t]
columns = { id = "bigint", name = "text", at = "timestamptz" }
${tableLines}
`));
}

const SOURCE = 'source = "SELECT * FROM s"\n';

Deno.test("unknown and missing keys are told all at once, in the order of the file", async () => {
  assert.deepEqual(
    await batchProblems(tomlBatch(`
[[pipeline]]
nmae = "x"
mode = "apend"
retry = { max_attempts = 0, backoff_seconds = -1, backoff_factor = 0.5, jitter = true }
`)),
    [
      "p.toml:2:1: name: required, but not given (name of the pipeline: in commands, metrics and the history of runs)",
      "p.toml:2:1: target: required, but not given (the table to write)",
      "p.toml:2:1: nothing says where rows come from: neither source nor source_table (give source with a query, or source_table)",
      "p.toml:3:1: nmae: unknown key (did you mean name?)",
      'p.toml:4:1: mode: expected "append" or "truncate" or "merge" or "scd2" or "incremental", got "apend" (did you mean "append"?)',
      "p.toml:5:11: retry.max_attempts: expected >=1, got 0",
      "p.toml:5:29: retry.backoff_seconds: expected >=0, got -1",
      "p.toml:5:51: retry.backoff_factor: expected >=1, got 0.5",
      "p.toml:5:73: retry.jitter: unknown key (valid keys: backoff_factor, backoff_seconds, max_attempts)",
    ],
  );
});

Deno.test("a source is a query or a table", async () => {
  assert.deepEqual(await problems(`${SOURCE}source_table = "s"`), [
    "p.toml:5:1: source_table: source is given too, and rows come from one of them (give one of them)",
  ]);
  assert.deepEqual(await problems(`${SOURCE}column_map = { nmae = "n" }`), [
    "p.toml:5:1: column_map: only applies with source_table (a query names its columns with AS)",
    "p.toml:5:16: column_map.nmae: the table declares no column 'nmae' (did you mean name?)",
  ]);
  assert.deepEqual(await problems('source_table = "a.b.c"'), [
    'p.toml:4:1: source_table: expected a table with schema, name, got "a.b.c"',
  ]);
});

Deno.test("keys that mean nothing to the mode are refused", async () => {
  const lines = `${SOURCE}keys = ["id"]
compare_columns = ["name"]
update_columns = ["name"]
event_timestamp_column = "at"
ttl_seconds = 60
handle_deletes = "soft"
allow_empty_source = true
tie_break_column = "id"
overlap_seconds = 5
incremental_column = "at"`;
  assert.deepEqual(await problems(lines), [
    'p.toml:5:1: keys: only applies when mode = "merge" or "scd2" or "incremental"; the mode is "append" (set mode = one of them, or leave keys out)',
    'p.toml:6:1: compare_columns: only applies when mode = "scd2"; the mode is "append" (set mode = "scd2", or leave compare_columns out)',
    'p.toml:7:1: update_columns: only applies when mode = "merge" or "incremental"; the mode is "append" (set mode = one of them, or leave update_columns out)',
    'p.toml:8:1: event_timestamp_column: only applies when mode = "scd2"; the mode is "append" (set mode = "scd2", or leave event_timestamp_column out)',
    'p.toml:9:1: ttl_seconds: only applies when mode = "scd2"; the mode is "append" (set mode = "scd2", or leave ttl_seconds out)',
    'p.toml:10:1: handle_deletes: "soft" is refused with mode = "append": append, truncate and incremental do not compare the source with the target (mode = "merge" takes "hard", mode = "scd2" takes "soft")',
    'p.toml:11:1: allow_empty_source: only applies when mode = "merge" or "scd2"; the mode is "append" (set mode = one of them, or leave allow_empty_source out)',
    'p.toml:12:1: tie_break_column: only applies when mode = "incremental"; the mode is "append" (set mode = "incremental", or leave tie_break_column out)',
    'p.toml:13:1: overlap_seconds: only applies when mode = "incremental"; the mode is "append" (set mode = "incremental", or leave overlap_seconds out)',
    'p.toml:14:1: incremental_column: only applies when mode = "incremental", or the query uses $watermark (nothing would ever read the watermark)',
  ]);
});

Deno.test("deletes are hard under merge and soft under scd2", async () => {
  const with_ = (mode: string, deletes: string) =>
    problems(`${SOURCE}keys = ["id"]\nmode = "${mode}"\nhandle_deletes = "${deletes}"`);
  assert.deepEqual(await with_("merge", "soft"), [
    'p.toml:7:1: handle_deletes: "soft" only applies when mode = "scd2"; merge has no versions to close (mode = "merge" takes "hard")',
  ]);
  assert.deepEqual(await with_("scd2", "hard"), [
    'p.toml:7:1: handle_deletes: "hard" only applies when mode = "merge"; scd2 keeps history and closes versions (mode = "scd2" takes "soft")',
  ]);
});

Deno.test("merge, scd2 and incremental need keys", async () => {
  for (const mode of ["merge", "scd2"]) {
    assert.deepEqual(await problems(`${SOURCE}mode = "${mode}"`), [
      `p.toml:5:1: mode: mode = "${mode}" needs keys, and the table declares none (give keys = ["…"], or mark columns of the table with primary_key or natural_key)`,
    ]);
  }
  assert.deepEqual(await problems(`${SOURCE}mode = "incremental"\nincremental_column = "at"`), [
    'p.toml:5:1: mode: mode = "incremental" needs keys or tie_break_column: without them, rows that come later with a value equal to the ' +
    'watermark would be lost or written twice (give keys = ["…"], or mark columns of the table with primary_key or natural_key; ' +
    "or give tie_break_column, a column that rises strictly among rows of an equal watermark)",
  ]);
  const tied = 'mode = "incremental"\nincremental_column = "id"\ntie_break_column = "id"\n';
  assert.deepEqual(await problems(`${SOURCE}${tied}overlap_seconds = 5`), [
    "p.toml:8:1: overlap_seconds: counts seconds, and incremental_column 'id' is of type BIGINT (it needs a column of times)",
    'p.toml:8:1: overlap_seconds: needs keys: without them, rows that are read again would be written twice (give keys = ["…"], or mark columns of the table with primary_key or natural_key)',
  ]);
});

Deno.test("any key of the table is one, and what is a key is not updated", async () => {
  const merge = `${SOURCE}mode = "merge"\n`;
  for (const key of ['unique = [["id"]]', 'merge_keys = ["id"]']) {
    assert.deepEqual(await problems(`${merge}update_columns = ["name", "id"]`, key), [
      "p.toml:6:27: update_columns[1]: 'id' is a key, and keys are never updated",
    ]);
  }
});

Deno.test("a watermark needs its column", async () => {
  assert.deepEqual(await problems(`${SOURCE}mode = "incremental"\nkeys = ["id"]`), [
    'p.toml:5:1: mode: mode = "incremental" needs incremental_column: the column whose highest value is kept (give incremental_column, a column that rises with every new row)',
  ]);
  const query = 'source = "SELECT * FROM s WHERE at > $watermark"\n';
  assert.deepEqual(await problems(query), [
    "p.toml:4:1: source: the query uses $watermark, and nothing says of which column it is (give incremental_column, a column of the query that rises with every new row)",
  ]);
  const definitions = await tomlBatch(
    `[[pipeline]]\nname = "p"\ntarget = { name = "t" }\n${query}incremental_column = "at"\n`,
  );
  assert.equal((await definitions.batch()).targets[0]?.incrementalColumn, "at");
});

Deno.test("$watermark is looked for by the rules of the source's database", async () => {
  const connectors = [...batchConnectors, mysqlConnector];
  const query = String.raw`SELECT * FROM s WHERE name <> 'O\'Brien' AND at > $watermark`;
  for (const connection of ["source_connection", "target_connection"]) {
    const definitions = await tomlBatch(
      `[[pipeline]]
name = "p"
target = { name = "t" }
source = '''${query}'''
${connection} = "shop"
incremental_column = "at"
[connections.shop]
kind = "mysql"
url = "mysql://flow:sEcret1@shop/db"
`,
      DEFAULT_ENV,
      connectors,
    );
    assert.equal((await definitions.batch()).sourceConnection.kind, "mysql");
  }
});

Deno.test("names of columns are those of the table", async () => {
  const lines = `${SOURCE}mode = "scd2"
keys = ["ID", "ID"]
compare_columns = ["nmae"]
event_timestamp_column = "updated"`;
  assert.deepEqual(await problems(lines), [
    "p.toml:6:9: keys[0]: the table declares no column 'ID' (did you mean id?)",
    "p.toml:6:15: keys[1]: 'ID' is given twice",
    "p.toml:6:15: keys[1]: the table declares no column 'ID' (did you mean id?)",
    "p.toml:7:20: compare_columns[0]: the table declares no column 'nmae' (did you mean name?)",
    "p.toml:8:1: event_timestamp_column: the table declares no column 'updated' (its columns: id, name, at)",
  ]);
  const text = `${SOURCE}mode = "scd2"\nkeys = ["id"]\nevent_timestamp_column = "name"`;
  assert.deepEqual(await problems(text), [
    "p.toml:7:1: event_timestamp_column: column 'name' is of type VARCHAR, and valid_from needs a time (declare it as timestamptz)",
  ]);
});

Deno.test("parameters and the query's names belong together", async () => {
  const lines = `source = "SELECT $wtaermark, $limti, '$text' FROM s -- $comment"
parameters = { limit = 1, far_away = 2, watermark = 3 }`;
  assert.deepEqual(await problems(lines), [
    "p.toml:4:1: source: the query uses $wtaermark, and parameters gives no value for it (did you mean $watermark?)",
    "p.toml:4:1: source: the query uses $limti, and parameters gives no value for it (did you mean $limit?)",
    "p.toml:5:16: parameters.limit: the query does not use $limit (it uses $limti)",
    "p.toml:5:27: parameters.far_away: the query does not use $far_away (leave it out)",
    "p.toml:5:41: parameters.watermark: $watermark is flow's own: the highest value that earlier runs have read (call yours by another name)",
  ]);
  assert.deepEqual(await problems(`${SOURCE}parameters = { a = [1] }`), [
    "p.toml:5:16: parameters.a: expected a text in quotes, a number, true or false, or a date, got a list",
    "p.toml:5:16: parameters.a: the query does not use $a (leave it out)",
  ]);
  // What is wrong with the query itself is told once.
  assert.deepEqual(await problems("source = 5\nparameters = { a = 1 }"), [
    "p.toml:4:1: source: expected the query as a text, got 5",
  ]);
});

Deno.test("schedules are cron texts of five fields, zones have names", async () => {
  const schedule = (cron: string) => problems(`${SOURCE}schedule = "${cron}"`);
  assert.deepEqual(await schedule("* * * * * *"), [
    'p.toml:5:1: schedule: "* * * * * *" has 6 fields, and cron has five: minute, hour, day of month, month, day of week (such as "*/5 * * * *", or "@hourly")',
  ]);
  assert.deepEqual(await schedule("61 * * * *"), [
    'p.toml:5:1: schedule: "61 * * * *" is no schedule: Invalid value for minute: 61',
  ]);
  assert.deepEqual(await schedule("0 0 30 2 *"), [
    'p.toml:5:1: schedule: "0 0 30 2 *" is never due: there is no such day',
  ]);
  assert.match((await schedule("2026-01-01T00:00:00")).join(), /has 1 field, and cron has five/);
  assert.match((await schedule("@reboot")).join(), /is no schedule: @reboot is not supported/);
  assert.deepEqual(await problems(`${SOURCE}timezone = "Europe/Belin"`), [
    'p.toml:5:1: timezone: "Europe/Belin" is no time zone (did you mean Europe/Berlin?)',
  ]);
  assert.match((await problems(`${SOURCE}timezone = "+02:00"`)).join(), /is no time zone/);
  const fine = await tomlBatch(
    `[[pipeline]]\nname = "p"\ntarget = { name = "t" }\n${SOURCE}schedule = "@daily"\n`,
  );
  assert.deepEqual((await fine.batch()).schedule, { cron: "@daily", timezone: "UTC" });
});

Deno.test("upstreams exist, and are given once", async () => {
  const lines = `${SOURCE}depends_on = ["q", "q", "nope"]`;
  const other = '\n[[pipeline]]\nname = "q1"\ntarget = "t"\nsource = "SELECT 1"\n';
  assert.deepEqual(await problems(lines, other), [
    "p.toml:5:15: depends_on[0]: no pipeline named 'q' is declared (did you mean q1?)",
    "p.toml:5:20: depends_on[1]: no pipeline named 'q' is declared (did you mean q1?)",
    "p.toml:5:20: depends_on[1]: 'q' is given twice",
    "p.toml:5:25: depends_on[2]: no pipeline named 'nope' is declared (known: q1)",
  ]);
  assert.deepEqual(await problems(`${SOURCE}upstream_freshness_seconds = 60`), [
    "p.toml:5:1: upstream_freshness_seconds: only applies with depends_on",
  ]);
});

Deno.test("connections are databases", async () => {
  const kafka = '[connections.k]\nkind = "kafka"\nbootstrap_servers = "h:1"\n';
  assert.deepEqual(await problems(`${SOURCE}target_connection = "k"`, kafka), [
    "p.toml:5:1: target_connection: connection 'k' (kind='kafka') cannot be used by a declared pipeline (kinds that can: postgres, duckdb)",
  ]);
  assert.match(
    (await problems(`${SOURCE}source_connection = "kk"`, kafka)).join(),
    /^p\.toml:5:1: source_connection: connection 'kk' is not configured\. Looked for .*\[connections\] of p\.toml.* \(did you mean k\?/,
  );
  assert.deepEqual(await problems(`${SOURCE}target_connection = "postgres://me:sEcret1@h/d"`), [
    "p.toml:5:1: target_connection: expected the name of a connection, got a URL (give the URL as url, or configure a connection and give its name)",
  ]);
  const text = `[[pipeline]]\nname = "p"\ntarget = { name = "t" }\n${SOURCE}`;
  const [none, ...more] = await batchProblems(tomlBatch(text, {}));
  assert.match(
    none ?? "",
    /^p\.toml:1:1: no target_connection is given, and connection 'default' is not configured\. .*\(give target_connection; set EMATIX_FLOW_DSN_DEFAULT/,
  );
  assert.deepEqual(more, []);
  assert.deepEqual(
    await problems(`${SOURCE}target_connection = { kind = "duckdb", paht = "x" }`),
    [
      "p.toml:5:1: target_connection.path: required, but not given (the database file)",
      "p.toml:5:40: target_connection.paht: unknown key (did you mean path?)",
    ],
  );
});

Deno.test("several targets say for themselves what belongs to them", async () => {
  const several = (lines: string) =>
    batchProblems(tomlBatch(`[[pipeline]]
name = "p"
${SOURCE}
${lines}
[connections.a]
kind = "duckdb"
path = "a.duckdb"
[connections.b]
kind = "duckdb"
path = "b.duckdb"
`));
  assert.deepEqual(
    await several(`target = { name = "t" }
keys = ["id"]
targets = [{ table = { name = "t" }, mode = "mrege" }, { mode = "append" }]`),
    [
      "p.toml:6:1: keys: belongs to each target, and here are targets (put it into the target that it is meant for)",
      "p.toml:7:1: targets: target is given too (put all of them into the list)",
      'p.toml:7:38: targets[0].mode: expected "append" or "truncate" or "merge" or "scd2" or "incremental", got "mrege" (did you mean "merge"?)',
      "p.toml:7:56: targets[1].table: required, but not given (the table to write: a name of [tables], or the table itself)",
    ],
  );
  assert.deepEqual(
    await several(
      'targets = [{ table = { name = "t" }, connection = "a" }, { table = { name = "t" }, connection = "b" }]',
    ),
    [
      "p.toml:1:1: the targets have different connections: which of them is the source's? (give source_connection)",
    ],
  );
});

Deno.test("a table is one of the file, or written in place", async () => {
  const text = (target: string) =>
    batchProblems(
      tomlBatch(
        `[[pipeline]]\nname = "p"\ntarget = ${target}\n${SOURCE}[tables.customers]\ncolumns = { a = "text" }\n`,
      ),
    );
  assert.deepEqual(await text('"custmers"'), [
    "p.toml:3:1: target: no table named 'custmers' is declared in this file (did you mean customers?)",
  ]);
  assert.deepEqual(await text('"public.x"'), [
    "p.toml:3:1: target: no table named 'public.x' is declared in this file " +
    '(add [tables."public.x"], or write { schema = "…", name = "…" } for a table without declared columns)',
  ]);
  assert.deepEqual(await text("5"), [
    "p.toml:3:1: target: expected a text in quotes or a table, got 5",
  ]);
  assert.deepEqual(await text('{ schema = "s", nam = "t" }'), [
    "p.toml:3:1: target.name: required, but not given (name of the table)",
    "p.toml:3:26: target.nam: unknown key (did you mean name?)",
  ]);
});
