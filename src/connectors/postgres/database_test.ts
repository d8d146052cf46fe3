import assert from "node:assert/strict";
import { databaseTest } from "./test_database_rig.ts";
import { Relay } from "./test_relay.ts";

databaseTest("small results come with their types", async (rig) => {
  const session = await rig.connect();
  const [row] = await session.rows(
    "SELECT 1::int2 AS a, 2 AS b, 9223372036854775807 AS c, true AS d, '\\x00ff'::bytea AS e, " +
      "0.10::numeric AS f, 0.1::float8 AS g, '2026-01-01 00:00:00.5+02'::timestamptz AS h, " +
      "NULL::int AS i, $1::bytea AS j, $2::bool AS k, $3::bigint AS l",
    [new Uint8Array([1, 2]), false, 5n],
  );
  assert.deepEqual(row, {
    a: 1n,
    b: 2n,
    c: 9223372036854775807n,
    d: true,
    e: new Uint8Array([0, 255]),
    f: "0.10",
    g: "0.1",
    h: "2025-12-31 22:00:00.5+00",
    i: null,
    j: new Uint8Array([1, 2]),
    k: false,
    l: 5n,
  });
});

databaseTest("statements tell how many rows they changed", async (rig) => {
  const session = await rig.connect();
  assert.equal(await session.run("CREATE TABLE t (a int, b text)"), 0);
  assert.equal(
    await session.run("INSERT INTO t SELECT i, $1 FROM generate_series(1, 5) i", ["x"]),
    5,
  );
  assert.equal(await session.run("UPDATE t SET b = 'y' WHERE a > $1", [3n]), 2);
  assert.equal(await session.run("SELECT * FROM t"), 0);
  assert.equal(await session.run("DELETE FROM t"), 5);
  assert.equal(
    await session.run(
      session.dialect.createStageAs("made", "SELECT i AS a FROM generate_series(1, $1::int) i"),
      [4n],
    ),
    4,
  );
  assert.equal(
    (await session.rows(`SELECT * FROM ${session.dialect.stageName("made")}`)).length,
    4,
  );
});

databaseTest("a query is described without being run", async (rig) => {
  const session = await rig.connect();
  await session.run("CREATE TYPE mood AS ENUM ('good')");
  await session.run("CREATE DOMAIN price AS numeric(8,2)");
  await session.run("CREATE SEQUENCE numbers");
  const columns = await session.describe(
    "SELECT nextval('numbers') AS n, 1.5::numeric(10,3) AS d, 2::price AS p, 3::numeric AS any, 'good'::mood AS m, " +
      "ARRAY[1] AS l, '::1'::inet AS i, $1::date AS day, now() AS at, '{}'::jsonb AS j, '{}'::json AS k, " +
      "'\\x'::bytea AS b, interval '1 day' AS v, gen_random_uuid() AS u, 1::float4 AS f, 'a'::char(3) AS c",
    [null],
  );
  assert.deepEqual(columns.map(({ type }) => type), [
    "BIGINT",
    "DECIMAL(10,3)",
    "DECIMAL(8,2)",
    "VARCHAR",
    "VARCHAR",
    "VARCHAR",
    "VARCHAR",
    "DATE",
    "TIMESTAMP WITH TIME ZONE",
    "JSON",
    "JSON",
    "BLOB",
    "INTERVAL",
    "UUID",
    "FLOAT",
    "VARCHAR",
  ]);
  const own = columns.filter(({ ownType }) => ownType !== undefined);
  assert.deepEqual(
    own.map(({ name, ownType }) => [name, ownType?.name, ownType?.isLocal === true]),
    [
      ["any", "numeric", false],
      ["m", "mood", true],
      ["l", "integer[]", false],
      ["i", "inet", false],
    ],
  );
  assert.deepEqual(await session.rows("SELECT last_value, is_called FROM numbers"), [
    { last_value: 1n, is_called: false },
  ]);
});

databaseTest("a parameter without a type of its own does not end the transaction", async (rig) => {
  const session = await rig.connect();
  await session.run("CREATE TABLE t (at timestamptz)");
  await session.begin();
  const query = "SELECT * FROM t WHERE $1 IS NULL OR at > $2 OR $3 IS NULL";
  assert.deepEqual(await session.describe(query, [null, null, null]), [
    { name: "at", type: "TIMESTAMP WITH TIME ZONE" },
  ]);
  await session.run("INSERT INTO t VALUES (now())");
  await session.commit();
  assert.equal((await rig.rig.select(`SELECT * FROM ${rig.rig.schema}.t`)).length, 1);
});

databaseTest("what a query has wrong is told with its place", async (rig) => {
  const session = await rig.connect();
  await session.run("CREATE TABLE customers (id int, city text)");
  await assert.rejects(session.describe("SELECT id,\n  'é', ctiy FROM customers"), {
    code: "query_invalid",
    domain: "user",
    retryable: false,
    message: /column "ctiy" does not exist \(line 2, column 8\)/,
    hint: /customers\.city/,
  });
  await assert.rejects(session.rows("SELECT * FROM nowhere"), { code: "query_invalid" });
  await assert.rejects(session.describe("INSERT INTO customers VALUES (1)"), {
    code: "query_invalid",
    message: /gives no columns/,
  });
  await assert.rejects(rig.texts(session, "SELECT 1 / (id - 1) AS x FROM (VALUES (1)) v (id)"), {
    code: "query_invalid",
    message: /division by zero/,
  });
  await assert.rejects(rig.texts(session, 'SELECT 1 AS a, 2 AS "A"'), {
    code: "query_invalid",
    message: /two columns of the name "A"/,
  });
  await session.run("SELECT 1");
});

databaseTest("all reads of a transaction see one state", async (rig) => {
  const [session, other] = [await rig.connect(), await rig.connect()];
  await session.run("CREATE TABLE t (a int)");
  await session.begin();
  const count = () => session.rows<{ n: bigint }>("SELECT count(*) AS n FROM t");
  await count();
  await other.run("INSERT INTO t VALUES (1)");
  assert.deepEqual(await count(), [{ n: 0n }]);
  await session.commit();
  assert.deepEqual(await count(), [{ n: 1n }]);
});

databaseTest("rollback undoes tables and rows, and may be called any time", async (rig) => {
  const session = await rig.connect();
  await session.rollback();
  await session.begin();
  await session.run("CREATE TABLE t (a int)");
  await assert.rejects(session.run("INSERT INTO t VALUES ('x')"), { code: "load_rejected" });
  await assert.rejects(session.commit(), { code: "postgres_not_committed", retryable: true });
  assert.equal(await session.table({ schema: rig.rig.schema, name: "t" }), undefined);
  await session.begin();
  await session.run("CREATE TABLE t (a int)");
  await session.rollback();
  assert.equal(await session.table({ name: "t" }), undefined);
});

databaseTest(
  "two transactions that change one row: the later one is told to come again",
  async (rig) => {
    const [session, other] = [await rig.connect(), await rig.connect()];
    await session.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    await session.begin();
    await session.rows("SELECT * FROM t");
    await other.run("UPDATE t SET a = 2");
    await assert.rejects(session.run("UPDATE t SET a = 3"), {
      code: "database_busy",
      domain: "external",
      retryable: true,
    });
    await session.rollback();
    await session.run("UPDATE t SET a = 3");
  },
);

databaseTest("what a view takes no rows for is no matter of trying again", async (rig) => {
  const session = await rig.connect();
  await session.run("CREATE VIEW v AS SELECT DISTINCT 1 AS a");
  await assert.rejects(session.run("INSERT INTO v VALUES (1)"), {
    code: "query_invalid",
    domain: "user",
    retryable: false,
    message: /cannot insert into view "v"/,
    hint: /INSTEAD OF INSERT/,
  });
});

databaseTest("a lock is held by one session until it closes", async (rig) => {
  const [session, other] = [await rig.connect(), await rig.connect()];
  const name = `orders ${rig.rig.schema}`;
  assert.equal(await session.lock(name), true);
  assert.equal(await other.lock(name), false);
  assert.equal(await other.lock(`${name} 2`), true);
  await session.close();
  assert.equal(await other.lock(name), true);
});

databaseTest("an abort cancels what runs, and what comes later", async (rig) => {
  const controller = new AbortController();
  const session = await rig.connect(controller.signal);
  await session.begin();
  const running = session.rows("SELECT pg_sleep(60)");
  const reason = new Error("stop");
  queueMicrotask(() => controller.abort(reason));
  await assert.rejects(running, reason);
  await assert.rejects(session.run("SELECT 1"), reason);
  await session.rollback();
  await assert.rejects(rig.connect(AbortSignal.abort(reason)), reason);
});

databaseTest("an abort ends a read whose rows nobody takes", async (rig) => {
  const controller = new AbortController();
  const session = await rig.connect(controller.signal);
  const pieces = session.read(
    "SELECT i, repeat('x', 1000) AS x FROM generate_series(1, 1000000) i",
    [],
    rig.rig.engine,
    rig.rig.session,
  )[Symbol.asyncIterator]();
  const first = await pieces.next();
  await first.value.release();
  const reason = new Error("stop");
  controller.abort(reason);
  await assert.rejects(pieces.next(), reason);
});

databaseTest("a read that is not read to its end leaves the session usable", async (rig) => {
  const session = await rig.connect();
  const query = "SELECT i, repeat('x', 1000) AS x FROM generate_series(1, 1000000) i";
  for await (const piece of session.read(query, [], rig.rig.engine, rig.rig.session)) {
    await piece.release();
    break;
  }
  assert.deepEqual(await session.rows("SELECT 1 AS one"), [{ one: 1n }]);
  const left = [...Deno.readDirSync(rig.rig.scratchDir)].filter(({ name }) =>
    name.endsWith(".csv")
  );
  assert.deepEqual(left, []);
});

databaseTest(
  "a lost connection, a wrong password, and a server that is not there have names",
  async (rig) => {
    const session = await rig.connect();
    const [row] = await session.rows<{ pid: bigint }>("SELECT pg_backend_pid() AS pid");
    await rig.rig.client.query("SELECT pg_terminate_backend($1)", [String(row?.pid)]);
    await assert.rejects(session.rows("SELECT 1"), {
      code: "database_unreachable",
      retryable: true,
    });
    await session.rollback();
    const { signal } = new AbortController();
    const wrong = new URL(rig.rig.url());
    wrong.password = "wrong";
    await assert.rejects(rig.database(wrong.href).connect(signal), {
      code: "database_auth_failed",
    });
    const away = new URL(rig.rig.url());
    away.port = "1";
    await assert.rejects(rig.database(away.href).connect(signal), {
      code: "database_unreachable",
      retryable: true,
    });
  },
);

databaseTest(
  "the identity tells the database, the user and the search path, and no password",
  (rig) => {
    const { hostname, port, username, password } = new URL(rig.rig.url());
    const { identity } = rig.database();
    assert.equal(
      identity,
      `postgres:${hostname}:${port}/flow as ${username} with -csearch_path=${rig.rig.schema}`,
    );
    assert.ok(!identity.includes(password));
    return Promise.resolve();
  },
);

databaseTest("what the role may not do is permission_denied", async (rig) => {
  const session = await rig.connect();
  const role = `r_${rig.rig.schema}`;
  await session.run(`CREATE ROLE ${role}; CREATE TABLE t (a int); SET ROLE ${role}`);
  try {
    await assert.rejects(session.rows(`SELECT * FROM ${rig.rig.schema}.t`), {
      code: "permission_denied",
      domain: "user",
    });
  } finally {
    await session.run(`RESET ROLE; DROP ROLE ${role}`);
  }
});

databaseTest("the server ends the statement of a client that is gone", async (rig) => {
  const watching = await rig.connect();
  const relay = await Relay.start();
  try {
    const lost = await rig.database(relay.url(rig.rig)).connect(new AbortController().signal);
    const [self] = await lost.rows<{ pid: bigint }>("SELECT pg_backend_pid() AS pid");
    const running = () =>
      watching.rows(
        "SELECT 1 AS one FROM pg_stat_activity WHERE pid = $1::bigint AND query ~ 'pg_sleep'",
        [self?.pid ?? null],
      );
    const work = assert.rejects(lost.run("SELECT pg_sleep(60)"));
    while ((await running()).length === 0);
    relay.cut();
    await work;
    while ((await running()).length > 0) await watching.run("SELECT pg_sleep(0.1)");
    await lost.close();
  } finally {
    await relay.stop();
  }
});
