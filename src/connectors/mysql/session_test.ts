import assert from "node:assert/strict";
import { FlowError } from "../../core/error.ts";
import type { TargetColumn } from "../../core/schema.ts";
import { Secret } from "../../core/secret.ts";
import type { MysqlConnection } from "./connection.ts";
import { mysqlConnector } from "./connector.ts";
import { openMysqlDatabase } from "./database.ts";
import { MysqlSession } from "./session.ts";
import { drain, serviceTest, type TestRig } from "./test_rig.ts";

async function rejects(work: Promise<unknown>, code: string, message?: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof FlowError, String(error));
    assert.equal(error.code, code, error.message);
    if (message !== undefined) assert.match(error.message, message);
    return true;
  });
}

function column(name: string, type: string, more: Partial<TargetColumn> = {}): TargetColumn {
  return { name, type, nativeType: type, nullable: true, hasDefault: false, ...more };
}

/** A table `k` with a key and a text of four characters. */
async function keyed({ db }: TestRig): Promise<{ table: string; columns: TargetColumn[] }> {
  const { dialect } = db;
  await db.run(
    `CREATE TABLE k (id ${dialect.columnType("VARCHAR", { key: true })} PRIMARY KEY, ` +
      `n ${dialect.columnType("SMALLINT")}, t ${
        dialect.columnType("VARCHAR", { maxLength: 4 })
      } NOT NULL)`,
  );
  const table = await db.table({ name: "k" });
  return { table: "`k`", columns: [...table?.columns ?? []] };
}

Deno.test("mysql: a rollback that nobody answers is given up by whoever stops, and the connection with it", async () => {
  const asked: string[] = [];
  let isDropped = false;
  const silent = {
    get lost() {
      return isDropped;
    },
    query: (sql: string) => {
      asked.push(sql);
      return sql === "ROLLBACK" ? new Promise(() => {}) : Promise.resolve({});
    },
    drop: () => isDropped = true,
  } as unknown as MysqlConnection;
  const stop = new AbortController();
  const session = new MysqlSession(silent, stop.signal);
  await session.begin();
  stop.abort(new Error("enough"));
  await session.rollback();
  await session.rollback();
  assert.deepEqual(asked, ["START TRANSACTION WITH CONSISTENT SNAPSHOT", "ROLLBACK"]);
  assert.ok(isDropped);
});

serviceTest("keys are exact: case and trailing spaces make other keys", async (rig) => {
  const into = await keyed(rig);
  const rows = "SELECT k, 1, 'x' FROM (VALUES ('a'), ('A'), ('a '), ('')) AS v(k)";
  assert.equal(await rig.db.load(into, rows, rig.engineSession), 4);
});

serviceTest("a load that does not fit is refused, with the column and the value", async (rig) => {
  const into = await keyed(rig);
  const load = (values: string) =>
    rig.db.load(into, `SELECT * FROM (VALUES ${values}) AS v`, rig.engineSession);
  await rejects(load("('a', 1, 'x'), ('a', 2, 'y')"), "load_rejected", /Duplicate entry 'a'/);
  await rejects(load("('a', 1, 'x'), ('b', 2, 'abcde')"), "load_rejected", /'abcde' of column t/);
  await rejects(load("('a', 1, NULL)"), "load_rejected", /'?t'? cannot be null|column 't'/i);
  await rejects(load("('a', 40000, 'x')"), "load_rejected", /40000/);
  await rejects(load(`('${"é".repeat(256)}', 1, 'x')`), "load_rejected", /column id/);
  assert.deepEqual(await rig.db.rows("SELECT COUNT(*) AS n FROM k"), [{ n: 0n }]);
  assert.equal(await load("('a', 1, '😀😀😀😀')"), 1);
});

serviceTest("a table tells its columns, keys and what it fills by itself", async ({ db }) => {
  await db.run(
    "CREATE TABLE d (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(20) NOT NULL, b BIT(5), c TIMESTAMP NULL, " +
      "e ENUM('x','y') DEFAULT 'x', y YEAR, m MEDIUMINT UNSIGNED, j JSON, body LONGTEXT, w DECIMAL(65,2), " +
      "flag BIT(1), raw BINARY(4), " +
      "dt DATETIME(3), g INT AS (m + 1) VIRTUAL, UNIQUE (a, m), UNIQUE (body(10)))",
  );
  const table = await db.table({ name: "d" });
  assert.deepEqual(table?.primaryKey, ["id"]);
  assert.deepEqual(table?.uniqueKeys, [["a", "m"], ["id"]].toSorted());
  assert.deepEqual(table?.columns.map(({ name, type }) => [name, type]), [
    ["id", "INTEGER"],
    ["a", "VARCHAR"],
    ["b", "UBIGINT"],
    ["c", "TIMESTAMP WITH TIME ZONE"],
    ["e", "VARCHAR"],
    ["y", "INTEGER"],
    ["m", "UINTEGER"],
    ["j", "JSON"],
    ["body", "VARCHAR"],
    ["w", "VARCHAR"],
    ["flag", "BOOLEAN"],
    ["raw", "BLOB"],
    ["dt", "TIMESTAMP"],
    ["g", "INTEGER"],
  ]);
  const filled = table?.columns.filter((found) => found.hasDefault).map(({ name }) => name);
  assert.deepEqual(filled, ["id", "e", "g"]);
  assert.equal(table?.columns[1]?.maxLength, 20);
  assert.equal(await db.table({ name: "nothing" }), undefined);
  assert.equal(await db.table({ name: "D" }), undefined);
});

serviceTest("all kinds of columns are read as described", async (rig) => {
  const { db } = rig;
  await db.run(
    "CREATE TABLE r (b BIT(5), flag BIT(1), c TIMESTAMP(3) NULL, e ENUM('x','é'), s SET('p','q'), y YEAR, " +
      "l VARCHAR(10) CHARACTER SET latin1, raw BINARY(2), t TINYINT(1), w DECIMAL(65,30))",
  );
  await db.run(
    "INSERT INTO r VALUES (b'10101', b'1', '2026-01-01 00:00:00.5', 'é', 'p,q', 2026, 'ü', X'00ff', 1, 1.5), " +
      "(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
  );
  const rows = await rig.readRows("SELECT * FROM r -- all of it");
  assert.deepEqual(rows[0], {
    b: "21",
    flag: "true",
    c: "2026-01-01 00:00:00.5+00",
    e: "é",
    s: "p,q",
    y: "2026",
    l: "ü",
    raw: "\\x00\\xFF",
    t: "true",
    w: `1.5${"0".repeat(29)}`,
  });
  assert.ok(Object.values(rows[1] ?? {}).every((value) => value === null));
  assert.deepEqual(await rig.readRows("SELECT e FROM r WHERE y = ? OR y IS NULL", [2026n]), [
    ...[{ e: "é" }, { e: null }],
  ]);
  assert.deepEqual(await rig.readRows("SELECT * FROM r WHERE y = 1900"), []);
  assert.deepEqual(await rig.leftFiles(), []);
});

serviceTest("parameters are exact, and small results too", async ({ db }) => {
  const [row] = await db.rows(
    "SELECT ? AS big, ? AS text, ? AS bytes, ? AS nothing, CAST(? AS DECIMAL(20,3)) AS d, TRUE AS b, 1.50 AS x, " +
      "CAST('2026-01-01 00:00:00.5' AS DATETIME(6)) AS z",
    [9223372036854775807n, "a'\\b😀\0", new Uint8Array([0, 255]), null, "12345678901234567.125"],
  );
  assert.deepEqual(row, {
    big: 9223372036854775807n,
    text: "a'\\b😀\0",
    bytes: new Uint8Array([0, 255]),
    nothing: null,
    d: "12345678901234567.125",
    b: 1n,
    x: "1.50",
    z: "2026-01-01 00:00:00.500000",
  });
  const [plain] = await db.rows("SELECT 18446744073709551615 AS u, X'00ff' AS x, 1.5e0 AS f");
  assert.deepEqual(plain, { u: 18446744073709551615n, x: new Uint8Array([0, 255]), f: "1.5" });
});

serviceTest("stages, updates and deletes count the rows they mean", async (rig) => {
  const { db, engineSession } = rig;
  const { dialect } = db;
  const into = await keyed(rig);
  await db.load(into, "SELECT 'k' || i, i, 't' FROM range(10) AS r(i)", engineSession);
  await db.begin();
  await db.run(dialect.createStage("new", [
    { name: "id", type: "VARCHAR" },
    { name: "n", type: "SMALLINT" },
  ]));
  await db.load(
    {
      table: dialect.stageName("new"),
      columns: [column("id", "VARCHAR"), column("n", "SMALLINT")],
    },
    "SELECT 'k' || i, i + i % 2 FROM range(6) AS r(i)",
    engineSession,
  );
  const update = dialect.updateFrom({
    table: "`k`",
    source: dialect.stageName("new"),
    set: { n: "s.`n`" },
    on: "t.`id` = s.`id`",
  });
  assert.equal(await db.run(update), 6);
  await db.run(dialect.createStageAs("gone", "SELECT id FROM k WHERE n > 7"));
  const gone = dialect.stageName("gone");
  const remove = dialect.deleteWhere(
    "`k`",
    `EXISTS (SELECT 1 FROM ${gone} AS s WHERE s.id = t.id)`,
  );
  assert.equal(await db.run(remove), 2);
  await db.run(dialect.dropStage("gone"));
  await db.run(dialect.dropStage("new"));
  await db.commit();
  await db.begin();
  assert.equal(await db.run(dialect.emptyTable("`k`")), 8);
  await db.rollback();
  await db.rollback();
  assert.deepEqual(await db.rows("SELECT COUNT(*) AS n, SUM(n) AS s FROM k"), [{ n: 8n, s: "31" }]);
});

serviceTest("a column is added and widened, and keeps its NOT NULL", async (rig) => {
  const { db } = rig;
  await keyed(rig);
  await db.run(db.dialect.addColumn("`k`", "at", db.dialect.columnType("TIMESTAMPTZ")));
  const wider = db.dialect.columnType("VARCHAR", { maxLength: 9 });
  await db.run(db.dialect.widenColumn("`k`", "t", wider, { nullable: false }) ?? "");
  const table = await db.table({ name: "k" });
  const found = table?.columns.map(({ name, type, nullable, maxLength }) =>
    [name, type, nullable, maxLength].join(" ")
  );
  assert.deepEqual(found?.slice(2), ["t VARCHAR false 9", "at TIMESTAMP WITH TIME ZONE true "]);
});

serviceTest("a lock is one session's until it closes", async ({ db, database }) => {
  const other = await database.connect(new AbortController().signal);
  assert.equal(await db.lock("a pipeline of a very long name ".repeat(9)), true);
  assert.equal(await other.lock("a pipeline of a very long name ".repeat(9)), false);
  assert.equal(await other.lock("another"), true);
  await other.close();
  assert.equal(await db.lock("another"), true);
});

serviceTest("transactions see one state, and two writers are told", async (rig) => {
  const { db, database } = rig;
  await keyed(rig);
  const other = await database.connect(new AbortController().signal);
  try {
    await db.begin();
    await other.run("INSERT INTO k VALUES ('x', 1, 'a')");
    assert.deepEqual(await db.rows("SELECT * FROM k"), []);
    await db.commit();
    assert.equal((await db.rows("SELECT * FROM k")).length, 1);
    await other.run("SET SESSION innodb_lock_wait_timeout = 1");
    await db.begin();
    await db.run("UPDATE k SET n = 2");
    await rejects(other.run("UPDATE k SET n = 3"), "database_busy");
    await db.rollback();
  } finally {
    await other.close();
  }
});

serviceTest("errors have the codes of all databases", async ({ db, options, name }) => {
  await rejects(db.run("SELEC 1"), "query_invalid", /near 'SELEC 1'/);
  await rejects(db.describe("SELECT nothing FROM nowhere"), "query_invalid", /nowhere/);
  await rejects(db.rows("SELECT ? FROM nowhere", [1n]), "query_invalid", /nowhere/);
  const url = new URL((options["url"] as Secret).reveal());
  const check = (change: (url: URL) => void) => {
    const changed = new URL(url);
    change(changed);
    const { signal } = new AbortController();
    return mysqlConnector.check?.({ url: new Secret(changed.href) }, signal) ??
      Promise.reject(new Error("no check"));
  };
  const found = await check(() => {});
  assert.match(found.detail, new RegExp(`^(MariaDB|MySQL) \\d+.* at .*/${name} as flow@`));
  await rejects(check((to) => to.password = "wrong-secret"), "database_auth_failed");
  await rejects(check((to) => to.pathname = "/none_such"), "mysql_database_unknown");
  await rejects(
    check((to) => to.port = "1"),
    "database_unreachable",
    /^cannot connect to mysql at /,
  );
  await db.run("CREATE TABLE only (a INT)");
  const guest = `g_${name.slice(2)}`;
  await db.run(`CREATE USER ${guest} IDENTIFIED BY 'guest-secret'`);
  try {
    await db.run(`GRANT SELECT ON ${name}.* TO ${guest}`);
    url.username = guest;
    url.password = "guest-secret";
    const reader = await openMysqlDatabase({ url: new Secret(url.href) }).connect(
      new AbortController().signal,
    );
    await rejects(reader.run("INSERT INTO only VALUES (1)"), "permission_denied");
    await reader.close();
  } finally {
    await db.run(`DROP USER ${guest}`);
  }
});

serviceTest(
  "an aborted signal cancels what runs, and a rollback is still possible",
  async (rig) => {
    const { db, abort } = rig;
    await keyed(rig);
    await db.begin();
    await db.run("INSERT INTO k VALUES ('x', 1, 'a')");
    const running = db.run("SELECT SLEEP(60) + COUNT(*) FROM k");
    abort.abort(new Error("enough"));
    await assert.rejects(running, /enough/);
    await db.rollback();
    await assert.rejects(db.run("SELECT 1"), /enough/);
    const other = await rig.database.connect(new AbortController().signal);
    assert.deepEqual(await other.rows("SELECT * FROM k"), []);
    await other.close();
  },
);

const MANY = "SELECT seq AS id, CONCAT('text ', seq, REPEAT('.', 90)) AS t FROM seq_1_to_1500000";

serviceTest("a large query comes in pieces, and stands still between them", async (rig) => {
  const { db, engine, engineSession } = rig;
  let rows = 0;
  let pieces = 0;
  for await (const piece of db.read(MANY, [], engine, engineSession)) {
    await rejects(db.run("SELECT 1"), "database_session_busy");
    const [row] = await engineSession.rows<{ n: bigint; s: bigint }>(
      `SELECT count(*) AS n, sum(id)::BIGINT AS s FROM ${piece.relation} AS r`,
    );
    assert.equal(Number(row?.n), piece.rows);
    rows += Number(row?.n);
    pieces += 1;
    await piece.release();
  }
  assert.equal(rows, 1_500_000);
  assert.ok(pieces >= 4, String(pieces));
  assert.deepEqual(await rig.leftFiles(), []);
  assert.deepEqual(await db.rows("SELECT 1 AS one"), [{ one: 1n }]);
});

serviceTest("a query that nobody reads to its end is given up", async (rig) => {
  const { db, engine, engineSession, abort } = rig;
  for await (const piece of db.read(MANY, [], engine, engineSession)) {
    await piece.release();
    break;
  }
  assert.deepEqual(await db.rows("SELECT 1 AS one"), [{ one: 1n }]);
  await rejects(
    drain(db.read("SELECT 1 AS a UNION SELECT id FROM none", [], engine, engineSession)),
    "query_invalid",
  );
  const aborted = (async () => {
    for await (const piece of db.read(MANY, [], engine, engineSession)) {
      await piece.release();
      abort.abort(new Error("enough"));
    }
  })();
  await assert.rejects(aborted, /enough/);
  assert.deepEqual(await rig.leftFiles(), []);
});

serviceTest("rows of several megabytes pass both ways", async (rig) => {
  const { db, engineSession } = rig;
  const columns = [column("id", "BIGINT"), column("t", "VARCHAR")];
  await db.run(db.dialect.createStage("long", columns));
  const table = db.dialect.stageName("long");
  await db.load(
    { table, columns },
    "SELECT i, repeat('é\n', 2000000) FROM range(3) AS r(i)",
    engineSession,
  );
  const lengths: unknown[] = [];
  for await (const piece of db.read(`SELECT * FROM ${table}`, [], rig.engine, engineSession)) {
    lengths.push(...await engineSession.rows(`SELECT length(t) AS n FROM ${piece.relation} AS r`));
    await piece.release();
  }
  assert.deepEqual(lengths, [{ n: 4000000n }, { n: 4000000n }, { n: 4000000n }]);
  // 18 MB; the server sends 16 MiB at most.
  const tooLong = "SELECT t AS a, t AS b, t AS c FROM `long`";
  await rejects(drain(db.read(tooLong, [], rig.engine, engineSession)), "mysql_row_too_large");
});
