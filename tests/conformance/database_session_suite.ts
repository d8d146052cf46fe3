import assert from "node:assert/strict";
import { makePeople } from "./database_dialect_suite.ts";
import { type DatabaseCase, databaseTest, hasCode } from "./database_rig.ts";

/** A query that runs for minutes, in a spelling that all four take. */
const ENDLESS =
  "WITH RECURSIVE c(i) AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM c WHERE i < 900) " +
  "SELECT count(*) AS n FROM c AS a, c AS b, c AS d WHERE a.i + b.i + d.i < 0";

/** What every session does. */
export function sessionSuite(tested: DatabaseCase): void {
  databaseTest(tested, "changes are seen by others once they are committed", async (rig) => {
    const [one, other] = [await rig.connect(), await rig.connect()];
    const people = await makePeople(rig, one);
    const count = async () =>
      (await other.rows<{ n: bigint }>(`SELECT count(*) AS n FROM ${people}`))[0]?.n;
    await one.begin();
    assert.equal(await one.run(`DELETE FROM ${people} WHERE id = 1`), 1);
    assert.equal(await count(), 3n);
    await one.commit();
    assert.equal(await count(), 2n);
    await one.begin();
    await one.run(`DELETE FROM ${people}`);
    await one.rollback();
    assert.equal(await count(), 2n);
    await one.rollback();
  });

  databaseTest(tested, "all reads of a transaction see one state", async (rig) => {
    const [one, other] = [await rig.connect(), await rig.connect()];
    const people = await makePeople(rig, other);
    const ids = () => rig.texts(one, `SELECT id FROM ${people} ORDER BY id`);
    // A reader only: a transaction that means to write may keep other writers out.
    const reader = await rig.database.connect(new AbortController().signal, { readOnly: true });
    try {
      await reader.begin();
      const before = await rig.texts(reader, `SELECT id FROM ${people} ORDER BY id`);
      await other.run(`DELETE FROM ${people} WHERE id = 1`);
      const after = await rig.texts(reader, `SELECT id FROM ${people} ORDER BY id`);
      assert.deepEqual(after, before);
      await reader.commit();
      const later = await rig.texts(reader, `SELECT id FROM ${people} ORDER BY id`);
      assert.deepEqual(later, await ids());
      assert.equal(later.length, 2);
    } finally {
      await reader.close();
    }
  });

  databaseTest(tested, "a small result has bigints, texts, and NULL", async (rig) => {
    const session = await rig.connect();
    await rig.makeTable(session, "small", [
      { name: "i", type: "INTEGER" },
      { name: "b", type: "BIGINT" },
      { name: "f", type: "DOUBLE" },
      { name: "d", type: "DECIMAL(18,2)" },
      { name: "v", type: "VARCHAR" },
      { name: "x", type: "VARCHAR" },
      { name: "o", type: "BLOB" },
    ]);
    await rig.load(
      session,
      "small",
      "SELECT 7::INTEGER AS i, 9007199254740993 AS b, 0.5::DOUBLE AS f, 1.50::DECIMAL(18,2) AS d, " +
        "'é' AS v, NULL::VARCHAR AS x, '\\x00\\xFF'::BLOB AS o",
    );
    const [row] = await session.rows(
      `SELECT * FROM ${session.dialect.tableName({ name: "small" })}`,
    );
    assert.equal(row?.["i"], 7n);
    assert.equal(row?.["b"], 9007199254740993n);
    assert.equal(row?.["f"], "0.5");
    assert.equal(row?.["d"], "1.50");
    assert.equal(row?.["v"], "é");
    assert.equal(row?.["x"], null);
    assert.deepEqual([...row?.["o"] as Uint8Array], [0, 255]);
    assert.deepEqual(await session.rows("SELECT 1 AS a WHERE 1 = 0"), []);
  });

  databaseTest(tested, "statements tell how many rows they changed", async (rig) => {
    const session = await rig.connect();
    const people = await makePeople(rig, session);
    const p = (index: number) => session.dialect.placeholder(index);
    assert.equal(
      await session.run(`INSERT INTO ${people} (id, name) VALUES (${p(1)}, ${p(2)})`, [7n, null]),
      1,
    );
    assert.equal(await session.run(`UPDATE ${people} SET name = 'x' WHERE id > 1`), 3);
    assert.equal(await session.run(`UPDATE ${people} SET name = 'x' WHERE id > 1`), 3);
    assert.equal(await session.run(`DELETE FROM ${people} WHERE id = 99`), 0);
    assert.equal(await session.run(`DELETE FROM ${people}`), 4);
  });

  databaseTest(tested, "parameters are bound in reads, NULL too", async (rig) => {
    const session = await rig.connect();
    const people = await makePeople(rig, session);
    const id = rig.bound(session, "BIGINT").sql;
    assert.deepEqual(
      await rig.texts(session, `SELECT id FROM ${people} WHERE id > ${id} ORDER BY id`, [1n]),
      [["2"], ["3"]],
    );
    assert.deepEqual(
      await rig.texts(session, `SELECT id FROM ${people} WHERE id > ${id}`, [null]),
      [],
    );
    const name = rig.bound(session, "VARCHAR").sql;
    const quoted = `'; DROP TABLE people; --`;
    assert.deepEqual(
      await rig.texts(session, `SELECT ${name} AS v FROM ${people} WHERE id = 1`, [quoted]),
      [[quoted]],
    );
  });

  databaseTest(tested, "a query is described without running it", async (rig) => {
    const session = await rig.connect();
    const people = await makePeople(rig, session);
    const id = rig.bound(session, "BIGINT").sql;
    assert.deepEqual(
      await session.describe(
        `SELECT id, name AS "who" FROM ${people} WHERE id > ${id}`.replaceAll(
          '"who"',
          session.dialect.quote("who"),
        ),
        [0n],
      ),
      [{ name: "id", type: "BIGINT" }, { name: "who", type: "VARCHAR" }],
    );
    await assert.rejects(session.describe("SELECT nope FROM nowhere"), hasCode("query_invalid"));
  });

  databaseTest(tested, "tables tell their columns and keys", async (rig) => {
    const session = await rig.connect();
    const { dialect } = session;
    assert.equal(await session.table({ name: "keyed" }), undefined);
    const text = dialect.columnType("VARCHAR", { maxLength: 20, key: true });
    await session.run(
      `CREATE TABLE ${dialect.tableName({ name: "keyed" })} (` +
        `b ${text} NOT NULL, a ${dialect.columnType("BIGINT", { key: true })} NOT NULL, ` +
        `u ${dialect.columnType("BIGINT", { key: true })}, d INTEGER DEFAULT 5, ` +
        `PRIMARY KEY (a, b), UNIQUE (u))`,
    );
    const table = await session.table({ name: "keyed" });
    assert.deepEqual(table?.columns.map(({ name }) => name), ["b", "a", "u", "d"]);
    assert.deepEqual(table?.columns.map(({ nullable }) => nullable), [false, false, true, true]);
    assert.deepEqual(table?.columns.map(({ hasDefault }) => hasDefault), [
      false,
      false,
      false,
      true,
    ]);
    assert.equal(table?.columns[1]?.type, "BIGINT");
    assert.deepEqual(table?.primaryKey, ["a", "b"]);
    assert.deepEqual(
      table?.uniqueKeys.map((key) => key.join()).sort(),
      ["a,b", "u"],
    );
  });

  databaseTest(tested, "columns that are left out get their default", async (rig) => {
    const session = await rig.connect();
    const { dialect } = session;
    const table = dialect.tableName({ name: "defaults" });
    await session.run(
      `CREATE TABLE ${table} (a ${dialect.columnType("BIGINT")}, d INTEGER DEFAULT 5)`,
    );
    const target = await rig.target(session, "defaults");
    await session.load(
      { ...target, columns: target.columns.slice(0, 1) },
      "SELECT 1::BIGINT AS a",
      rig.engineSession,
    );
    assert.deepEqual(await rig.texts(session, `SELECT a, d FROM ${table}`), [["1", "5"]]);
  });

  databaseTest(tested, "schemas are made, or become a prefix", async (rig) => {
    const session = await rig.connect();
    const { dialect } = session;
    const schema = `analytics_${crypto.randomUUID().slice(0, 8)}`;
    const create = dialect.createSchema(schema);
    if (create !== undefined) {
      await session.run(create);
      await session.run(create);
    }
    const ref = { schema, name: "events" };
    await session.run(
      `CREATE TABLE ${dialect.tableName(ref)} (v ${dialect.columnType("BIGINT")})`,
    );
    assert.equal((await session.table(ref))?.columns.length, 1);
    assert.equal(await session.table({ name: "events" }), undefined);
    await session.run(`DROP TABLE ${dialect.tableName(ref)}`);
    if (create !== undefined) await session.run(`DROP SCHEMA ${dialect.quote(schema)}`);
  });

  databaseTest(tested, "errors have their codes", async (rig) => {
    const session = await rig.connect();
    const people = await makePeople(rig, session);
    const invalid = hasCode("query_invalid");
    await assert.rejects(session.rows("SELECT * FROM nowhere"), invalid);
    await assert.rejects(session.run(`UPDATE ${people} SET nope = 1`), invalid);
    await assert.rejects(session.rows("SELEC 1"), invalid);
    await assert.rejects(rig.texts(session, `SELECT nope FROM ${people}`), invalid);
    const rejected = hasCode("load_rejected");
    await assert.rejects(session.run(`INSERT INTO ${people} (id) VALUES (1)`), rejected);
    await assert.rejects(
      rig.load(session, "people", "SELECT 1::BIGINT AS id, 'again' AS name"),
      rejected,
    );
    const full = await rig.makeTable(session, "filled", [{
      name: "v",
      type: "BIGINT",
      notNull: true,
    }]);
    await assert.rejects(session.run(`INSERT INTO ${full} (v) VALUES (NULL)`), rejected);
    assert.equal((await rig.texts(session, `SELECT id FROM ${people}`)).length, 3);
  });

  databaseTest(tested, "a lock is one session's, until that ends", async (rig) => {
    const [one, other] = [await rig.connect(), await rig.connect()];
    assert.equal(await one.lock("p"), true);
    assert.equal(await other.lock("p"), false);
    assert.equal(await other.lock("q"), true);
    await one.close();
    assert.equal(await other.lock("p"), true);
  });

  databaseTest(tested, "an aborted signal ends the statement, and the session", async (rig) => {
    const people = await makePeople(rig, await rig.connect());
    const abort = new AbortController();
    const session = await rig.connect(abort.signal);
    await session.begin();
    await session.run(`DELETE FROM ${people} WHERE id = 1`);
    const reason = new Error("enough");
    const running = session.rows(ENDLESS);
    // The statement is on its way in the next turns; before or after, the outcome is the same.
    const ended = assert.rejects(running, (error) => error === reason);
    await new Promise((resolve) => setTimeout(resolve, 100));
    abort.abort(reason);
    await ended;
    await assert.rejects(session.run("SELECT 1"), (error) => error === reason);
    await session.rollback();
    await session.close();
    const after = await rig.connect();
    assert.equal((await rig.texts(after, `SELECT id FROM ${people}`)).length, 3);
  });

  databaseTest(tested, "an aborted signal ends a read", async (rig) => {
    const abort = new AbortController();
    const session = await rig.connect(abort.signal);
    const people = await makePeople(rig, session);
    const reason = new Error("enough");
    const read = async () => {
      const query = `SELECT id FROM ${people}`;
      for await (const piece of session.read(query, [], rig.engine, rig.engineSession)) {
        await piece.release();
        abort.abort(reason);
      }
      abort.signal.throwIfAborted();
    };
    await assert.rejects(read(), (error) => error === reason);
  });

  databaseTest(tested, "a read that is given up lets the session go on", async (rig) => {
    const session = await rig.connect();
    const people = await makePeople(rig, session);
    const query = `SELECT a.id FROM ${people} AS a`;
    for await (const piece of session.read(query, [], rig.engine, rig.engineSession)) {
      await piece.release();
      break;
    }
    assert.equal((await rig.texts(session, query)).length, 3);
  });

  databaseTest(tested, "a session can be closed twice, and ends its transaction", async (rig) => {
    const session = await rig.connect();
    const people = await makePeople(rig, session);
    await session.begin();
    await session.run(`DELETE FROM ${people}`);
    await session.close();
    await session.close();
    const other = await rig.connect();
    assert.equal((await rig.texts(other, `SELECT id FROM ${people}`)).length, 3);
  });

  databaseTest(tested, "a database says who it is without its password", async (rig) => {
    const { database } = rig;
    assert.equal(database.kind, database.dialect.kind);
    assert.ok(database.identity.length > 0 && database.shown.length > 0);
    for (const variable of ["FLOW_TEST_POSTGRES_URL", "FLOW_TEST_MYSQL_URL"]) {
      const password = URL.parse(Deno.env.get(variable) ?? "")?.password;
      if (!password) continue;
      assert.ok(!database.identity.includes(password) && !database.shown.includes(password));
    }
    await rig.connect();
  });

  databaseTest(
    tested,
    "rows go from one session to another in the database's own format",
    async (rig) => {
      const [from, to] = [await rig.connect(), await rig.connect()];
      // Only some databases have one.
      if (from.native === undefined || to.native === undefined) return;
      const people = await makePeople(rig, from);
      await rig.makeTable(to, "copy", [
        { name: "id", type: "BIGINT", key: true },
        { name: "name", type: "VARCHAR" },
      ]);
      const id = rig.bound(from, "BIGINT").sql;
      const target = await rig.target(to, "copy");
      const query = `SELECT id, name FROM ${people} WHERE id > ${id}`;
      const rows = await from.native.readOut(query, [1n], target);
      assert.equal(await to.native.loadIn(target, rows), 2);
      const copy = to.dialect.tableName({ name: "copy" });
      assert.deepEqual(
        await rig.texts(to, `SELECT id, name FROM ${copy} ORDER BY id`),
        [["2", "Ben"], ["3", null]],
      );
    },
  );
}
