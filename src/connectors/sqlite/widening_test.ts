import assert from "node:assert/strict";
import { quoteIdentifier } from "../../core/schema.ts";
import { SqliteClient } from "./client.ts";
import { addColumnStatement, createStatement, qualifiedName, readTable } from "./table.ts";
import { sqliteWidener, widenColumns } from "./widening.ts";

async function withFile(test: (client: SqliteClient) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "flow-sqlite-test-" });
  const { client } = await SqliteClient.open(`${folder}/t.db`);
  try {
    await test(client);
  } finally {
    await client.close();
    await Deno.remove(folder, { recursive: true });
  }
}

const query = (client: SqliteClient, sql: string) => client.call({ op: "query", sql, params: [] });

Deno.test("sqlite: a table made anew keeps its rows, rowids, indexes, triggers and views", async () => {
  await withFile(async (client) => {
    const name = 'odd (na"me), "n" INTEGER';
    const table = qualifiedName(name);
    const n = { name: "n", type: "BIGINT" };
    await client.run(createStatement(name, [n, { name: 'x"n', type: "BIGINT" }], []));
    await client.run(addColumnStatement(name, { name: "later", type: "BOOLEAN" }, false));
    await client.run("CREATE TABLE log (n)");
    await client.run(`CREATE INDEX by_n ON ${quoteIdentifier(name)} (n)`);
    await client.run(`CREATE VIEW v AS SELECT n FROM ${table}`);
    await client.run(
      `CREATE TRIGGER t AFTER INSERT ON ${
        quoteIdentifier(name)
      } BEGIN INSERT INTO log VALUES (NEW.n); END`,
    );
    await client.run(`INSERT INTO ${table} VALUES (1, 1, 1), (2, 2, 0), (3, 3, NULL)`);
    await client.run(`DELETE FROM ${table} WHERE n = 2`);
    const known = await readTable(client, name);
    assert.ok(known !== undefined);
    assert.deepEqual(known.columns.map(({ widens }) => widens), [true, true, true]);
    const [first, , last] = known.columns;
    assert.ok(first !== undefined && last !== undefined);
    await client.run("BEGIN IMMEDIATE");
    await widenColumns(client, name, known, [
      { target: first, type: "VARCHAR" },
      { target: last, type: "VARCHAR" },
    ]);
    await client.run("COMMIT");
    await client.run(`INSERT INTO ${table} VALUES ('007', 4, 'no')`);
    assert.deepEqual(
      (await query(client, `SELECT rowid AS r, n, later FROM ${table} ORDER BY rowid`)).map((row) =>
        Object.values(row)
      ),
      [[1n, "1", "true"], [3n, "3", null], [4n, "007", "no"]],
    );
    assert.deepEqual((await query(client, "SELECT n FROM v ORDER BY n")).map((row) => row["n"]), [
      "007",
      "1",
      "3",
    ]);
    // The copy is no insert that a trigger hears of.
    assert.equal((await query(client, "SELECT * FROM log")).length, 4);
    assert.equal(
      (await query(client, "SELECT 1 FROM sqlite_schema WHERE name IN ('by_n', 't')")).length,
      2,
    );
    const after = await readTable(client, name);
    assert.deepEqual(after?.columns.map(({ nativeType }) => nativeType), [
      "TEXT",
      "INTEGER",
      "TEXT",
    ]);
  });
});

Deno.test("sqlite: what a person declared is not flow's, and neither is a table that others lead to", async () => {
  await withFile(async (client) => {
    await client.run("CREATE TABLE own (n INTEGER, m INTEGER /* made by flow, once */)");
    assert.deepEqual((await readTable(client, "own"))?.columns.map(({ widens }) => widens), [
      false,
      false,
    ]);
    await client.run(createStatement("made", [{ name: "id", type: "BIGINT" }], ["id"]));
    await client.run(addColumnStatement("made", { name: "n", type: "BIGINT" }, false));
    const made = await readTable(client, "made");
    assert.deepEqual(made?.columns.map(({ widens }) => widens), [false, true]);
    const n = made?.columns[1];
    assert.ok(made !== undefined && n !== undefined);
    const widener = sqliteWidener(client, "made", made);
    assert.equal(await widener.holds(n, "VARCHAR"), true);
    await client.run("INSERT INTO made VALUES (1, 9007199254740993)");
    assert.equal(await widener.holds(n, "DOUBLE"), false);
    await client.run("CREATE TABLE child (id INTEGER REFERENCES made (id))");
    assert.equal(await widener.holds(n, "VARCHAR"), false);
  });
});
