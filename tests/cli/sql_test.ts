/** `flow sql`, as a shell runs it. */
import { DuckDBInstance } from "@duckdb/node-api";
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { tableFromIPC } from "apache-arrow";
import { flow, inDirectory, type Program, PROGRAMS, testEach } from "./flow_program.ts";

const FILES = {
  "orders.csv": "id,customer,total\n1,ann,2.5\n2,,4\n",
  "days.jsonl": '{"day":"2026-01-31","tags":["a","b"]}\n',
  "q.sql": "-- all of them\nSELECT count(*) AS n FROM orders;\n",
};

async function emptyDuckdbFile(path: string): Promise<void> {
  (await DuckDBInstance.create(path)).closeSync();
}

/** The bytes on standard output; the other helper decodes text. */
async function bytesOf(
  { command, prefix }: Program,
  args: readonly string[],
  cwd: string,
): Promise<Uint8Array> {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args: [...prefix, ...args],
    cwd,
    stdin: "null",
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return stdout;
}

testEach("sql without a connection runs in the embedded engine", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    const { code, stdout, stderr } = await flow(program, ["sql", "SELECT 42 AS answer"], { cwd });
    assert.deepEqual({ code, stdout, stderr }, {
      code: 0,
      stdout: "answer\n------\n    42\n(1 row)\n",
      stderr: "",
    });
  });
});

testEach("sql shows files as a table, JSON lines and CSV", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    const query = (...more: string[]) =>
      flow(
        program,
        ["sql", "SELECT * FROM orders ORDER BY id", "--register", "orders=orders.csv", ...more],
        { cwd },
      );
    assert.equal(
      (await query()).stdout,
      "id  customer  total\n--  --------  -----\n 1  ann         2.5\n 2  NULL        4.0\n(2 rows)\n",
    );
    assert.equal(
      (await query("--limit", "1")).stdout.split("\n").at(-2),
      "(first 1 row; there are more)",
    );
    assert.equal(
      (await query("--format", "json")).stdout,
      '{"id":1,"customer":"ann","total":2.5}\n{"id":2,"customer":null,"total":4.0}\n',
    );
    assert.equal(
      (await query("--format", "csv")).stdout,
      "id,customer,total\n1,ann,2.5\n2,,4.0\n",
    );
    const nested = await flow(
      program,
      ["sql", "SELECT * FROM days", "--register=days=days.jsonl", "--format=json"],
      { cwd },
    );
    assert.equal(nested.stdout, '{"day":"2026-01-31","tags":["a","b"]}\n');
  });
});

testEach("sql writes Arrow and Parquet that others can read", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    const query = "SELECT i, 'n' || i AS name, i % 2 = 0 AS even FROM range(100000) AS t(i)";
    const arrow = tableFromIPC(await bytesOf(program, ["sql", query, "--format=arrow"], cwd));
    assert.equal(arrow.numRows, 100_000);
    assert.equal(arrow.getChild("i")?.get(99_999), 99_999n);
    assert.equal(arrow.getChild("name")?.get(7), "n7");
    assert.equal(arrow.getChild("even")?.get(7), false);
    const parquet = await bytesOf(program, ["sql", query, "--format=parquet"], cwd);
    await Deno.writeFile(`${cwd}/rows.parquet`, parquet);
    const back = await flow(
      program,
      [
        "sql",
        "SELECT count(*) AS n, sum(i)::BIGINT AS total FROM rows",
        "--register=rows=rows.parquet",
        "--format=json",
      ],
      { cwd },
    );
    assert.equal(back.stdout, '{"n":100000,"total":4999950000}\n');
  });
});

testEach(
  "sql writes integers of 128 bits exactly, as text where 38 digits do not suffice",
  async (program) => {
    await inDirectory({}, async (cwd) => {
      const long = "170141183460469231731687303715884105727";
      const query = `SELECT sum(x) AS s, max(${long}::HUGEINT) AS h, {'a': sum(x)} AS fits, ` +
        `{'a': max(${long}::HUGEINT)} AS long FROM (VALUES (9007199254740993::BIGINT), (0)) AS t(x)`;
      await Deno.writeFile(
        `${cwd}/rows.parquet`,
        await bytesOf(program, ["sql", query, "--format=parquet"], cwd),
      );
      const back = await flow(
        program,
        [
          "sql",
          "SELECT s, typeof(s) AS ts, h, typeof(h) AS th, fits.a AS f, long FROM rows",
          "--register=rows=rows.parquet",
          "--format=csv",
        ],
        { cwd },
      );
      assert.equal(
        back.stdout,
        "s,ts,h,th,f,long\n" +
          `9007199254740993,"DECIMAL(38,0)",${long},VARCHAR,9007199254740993,"{""a"":${long}}"\n`,
      );
      const arrow = tableFromIPC(await bytesOf(program, ["sql", query, "--format=arrow"], cwd));
      assert.deepEqual(arrow.schema.fields.slice(0, 2).map(({ type }) => `${type}`), [
        "Decimal[38e0]",
        "Utf8",
      ]);
      assert.equal(arrow.getChild("h")?.get(0), long);
    });
  },
);

testEach("sql takes the query from a file", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    const args = ["sql", "--file", "q.sql", "--register=orders=orders.csv", "--format=csv"];
    assert.equal((await flow(program, args, { cwd })).stdout, "n\n2\n");
    const missing = await flow(program, ["sql", "--file", "none.sql"], { cwd });
    assert.equal(missing.code, 10);
    assert.match(missing.stderr, /^error: cannot read none\.sql: there is no such file\n/);
  });
});

for (const program of PROGRAMS) {
  Deno.test(`cli (${program.name}): sql takes the query from standard input`, async () => {
    const child = new Deno.Command(program.command, {
      args: [...program.prefix, "sql", "-", "--format", "csv"],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("SELECT 7 AS seven\n"));
    await writer.close();
    const { code, stdout } = await child.output();
    assert.equal(code, 0);
    assert.equal(new TextDecoder().decode(stdout), "seven\n7\n");
  });

  Deno.test(`cli (${program.name}): sql ends quietly when its reader has seen enough`, async () => {
    const child = new Deno.Command(program.command, {
      args: [...program.prefix, "sql", "SELECT * FROM range(20000000)", "--format", "csv"],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    assert.match(new TextDecoder().decode(value), /^range\n/);
    await reader.cancel();
    const stderr = await new Response(child.stderr).text();
    assert.deepEqual({ code: (await child.status).code, stderr }, { code: 0, stderr: "" });
  });
}

testEach("sql on a connection of a TOML file; what it does is rolled back", async (program) => {
  const toml = '[connections.local]\nkind = "duckdb"\npath = "x.duckdb"\n\n' +
    '[[pipeline]]\nname = "p"\ntarget = { name = "t" }\nmode = "append"\n' +
    'source = "SELECT 1 AS a, NULL::DECIMAL(5,2) AS b"\nsource_connection = "local"\n' +
    'target_connection = "local"\n';
  await inDirectory({ "p.toml": toml }, async (cwd) => {
    assert.equal((await flow(program, ["run", "p.toml", "--no-run-log"], { cwd })).code, 0);
    const query = (sql: string, ...more: string[]) =>
      flow(program, ["sql", sql, "p.toml", "--connection", "local", ...more], { cwd });
    assert.equal((await query("SELECT a, b FROM t", "--format=csv")).stdout, "a,b\n1,\n");
    assert.equal((await query("SELECT a, b FROM t WHERE a > 1", "--format=csv")).stdout, "a,b\n");
    const wrong = await query("SELECT nope FROM t");
    assert.equal(wrong.code, 10);
    assert.match(wrong.stderr, /^error: .*nope/);
    assert.match(
      (await query("SELEC 1")).stderr,
      /at or near "SELEC"\n\nLINE 1: SELEC 1\n {8}\^\nhint: correct the SQL; names are those of the/,
    );
    for (const [sql, advice] of [["SELECT 1; SELECT 2", "give one query"], ["DROP TABLE t", ""]]) {
      const { code, stderr } = await query(sql ?? "");
      assert.equal(code, 10);
      assert.match(stderr, new RegExp(`^error: .*\n(?!LINE).*hint: ${advice}`), sql);
    }
  });
});

testEach("sql shows what a database tells about itself", async (program) => {
  const toml = '[connections.dk]\nkind = "duckdb"\npath = "x.duckdb"\n' +
    '[connections.sq]\nkind = "sqlite"\npath = "x.db"\n';
  await inDirectory({ ".ematix-flow.toml": toml, "x.db": "" }, async (cwd) => {
    await emptyDuckdbFile(`${cwd}/x.duckdb`);
    const told = async (connection: string, sql: string, format = "table") => {
      const args = ["sql", sql, "--connection", connection, "--format", format];
      const { code, stdout, stderr } = await flow(program, args, { cwd });
      assert.deepEqual({ sql, code, stderr }, { sql, code: 0, stderr: "" });
      return stdout;
    };
    assert.equal(await told("dk", "show tables"), "result\n------\n(0 rows)\n");
    assert.equal(
      await told("dk", "describe SELECT 1 AS a", "json"),
      '{"column_name":"a","column_type":"INTEGER","null":"YES","key":null,"default":null,"extra":null}\n',
    );
    assert.match(
      await told("dk", "/* the plan */\nEXPLAIN SELECT 42 AS a"),
      /^explain_key {4}explain_value\n-+ {2}-+\nphysical_plan {2}┌─+┐\n {15}│ {9}PROJECTION {8}│\n/,
    );
    assert.match(
      await told("sq", "EXPLAIN QUERY PLAN SELECT 1"),
      /SCAN CONSTANT ROW\n\(1 row\)\n$/,
    );
    assert.equal(await told("sq", "PRAGMA user_version", "csv"), "user_version\n0\n");
    const refused = await flow(
      program,
      ["sql", "CREATE TABLE t (a)", "--connection", "sq"],
      { cwd },
    );
    assert.equal(refused.code, 10);
    assert.match(refused.stderr, /^error: the query gives no columns\nhint: write a SELECT/);
  });
});

testEach("sql on a file only looks: none is made, changed or locked", async (program) => {
  const toml = '[connections.dk]\nkind = "duckdb"\npath = "x.duckdb"\n' +
    '[connections.sq]\nkind = "sqlite"\npath = "x.db"\n' +
    '[connections.dk_typo]\nkind = "duckdb"\npath = "y.duckdb"\n' +
    '[connections.sq_typo]\nkind = "sqlite"\npath = "y.db"\n';
  await inDirectory({ ".ematix-flow.toml": toml }, async (cwd) => {
    const query = (connection: string, sql: string) =>
      flow(program, ["sql", sql, "--connection", connection, "--format", "csv"], { cwd });
    for (const [kind, connection] of [["SQLite", "sq_typo"], ["DuckDB", "dk_typo"]] as const) {
      const { code, stderr } = await query(connection, "SELECT 1 AS a");
      assert.equal(code, 10);
      assert.match(stderr, new RegExp(`^error: there is no ${kind} file at 'y\\.`));
    }
    const names = [...Deno.readDirSync(cwd)].map(({ name }) => name).sort();
    assert.deepEqual(names, [".ematix-flow.toml"]);

    const writer = new DatabaseSync(`${cwd}/x.db`);
    try {
      writer.exec("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)");
      writer.exec("BEGIN IMMEDIATE");
      assert.equal((await query("sq", "SELECT a FROM t")).stdout, "a\n1\n", "beside a writer");
      writer.exec("ROLLBACK");
      const [mode] = writer.prepare("PRAGMA journal_mode").all();
      assert.equal(mode?.["journal_mode"], "delete");
      await query("sq", "PRAGMA user_version = 7");
      const [version] = writer.prepare("PRAGMA user_version").all();
      assert.equal(version?.["user_version"], 0);
    } finally {
      writer.close();
    }
    await emptyDuckdbFile(`${cwd}/x.duckdb`);
    const reader = await DuckDBInstance.create(`${cwd}/x.duckdb`, { access_mode: "READ_ONLY" });
    try {
      assert.equal((await query("dk", "SELECT 1 AS a")).stdout, "a\n1\n", "beside a reader");
    } finally {
      reader.closeSync();
    }
  });
});

testEach("sql reaches only what was registered", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    const denied = await flow(program, ["sql", "SELECT * FROM read_csv('orders.csv')"], { cwd });
    assert.equal(denied.code, 12);
    assert.match(
      denied.stderr,
      /^error: SQL was denied access to 'orders\.csv'\nhint: .*--register/,
    );
    // Naming a file is leave to read it, and nothing else.
    const args = ["sql", "SELECT count(*) AS n FROM o", "--register=o=orders.csv", "--format=csv"];
    assert.equal((await flow(program, [...args, "--sandbox"], { cwd })).stdout, "n\n2\n");
    const missing = await flow(program, ["sql", "SELECT 1", "--register=o=none.csv"], { cwd });
    assert.equal(missing.code, 10);
    assert.match(missing.stderr, /^error: cannot use 'none\.csv': /);
    const strange = await flow(program, ["sql", "SELECT 1", "--register=o=orders.xml"], { cwd });
    assert.match(strange.stderr, /^error: cannot tell the format of 'orders\.xml' by its name\n/);
  });
});

testEach("sql that is wrong is shown with its place, and what to do", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    const told = async (query: string, ...more: string[]) => {
      const { code, stdout, stderr } = await flow(program, ["sql", query, ...more], { cwd });
      assert.deepEqual({ query, code, stdout }, { query, code: 10, stdout: "" });
      return stderr;
    };
    assert.equal(
      await told("SELECT 1,\n  2 FRM x y"),
      'error: Parser Error: syntax error at or near "x"\n\nLINE 2:   2 FRM x y\n                ^\n' +
        "hint: correct line 2, column 9 of the query: what stands before it cannot go on like this\n",
    );
    const hints: readonly (readonly [string, RegExp])[] = [
      ["SELECT nope", /LINE 1: .*\nhint: correct line 1, column 8 of the query$/s],
      ["SELECT 'ä', nope", /\nhint: correct line 1 of the query$/],
      ["SELECT 1; SELECT 2", /\nhint: give one query; for several, call flow sql for each$/],
      [
        "CREATE TABLE t (a INT)",
        /\nhint: flow sql only reads: give one query, for example SELECT …$/,
      ],
      ["SELECT * FROM (SELECT 1", /\nhint: the query ends too early: .*bracket/],
      ["SELECT 'abc", /\nhint: close what begins at line 1, column 8 of the query$/],
      ["SELECT CAST('x' AS INT)", /'x' to INT32.*\nhint: correct line 1, column 8 .*TRY_CAST/s],
      ["SELECT * FROM orders", /\nhint: there are no tables here: give files with --register/],
    ];
    for (const [query, hint] of hints) assert.match((await told(query)).trimEnd(), hint);
    const files = ["--register=orders=orders.csv", "--register=days=days.jsonl"];
    const tables = /\nhint: the tables are orders, days; more are given with --register/;
    assert.match(await told("SELECT * FROM ordrs", ...files), tables);
  });
});

testEach("sql of unknown connections and of wrong SQL", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    const unknown = await flow(program, ["sql", "SELECT 1", "--connection", "nope"], { cwd });
    assert.equal(unknown.code, 10);
    assert.match(unknown.stderr, /^error: connection 'nope' is not configured\./);
    for (const query of ["SELECT nope", "SELECT 1; SELECT 2", "CREATE TABLE t (a INT)"]) {
      const { code, stdout } = await flow(program, ["sql", query], { cwd });
      assert.deepEqual({ query, code, stdout }, { query, code: 10, stdout: "" });
    }
    const files = {
      ".ematix-flow.toml": '[connections.lake]\nkind = "object_store_local"\npath = "."\n',
    };
    await inDirectory(files, async (directory) => {
      const { code, stderr } = await flow(program, ["sql", "SELECT 1", "--connection=lake"], {
        cwd: directory,
      });
      assert.equal(code, 10);
      assert.match(stderr, /^error: connection 'lake' of kind='object_store_local' is no database/);
    });
  });
});
