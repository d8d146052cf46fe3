import assert from "node:assert/strict";
import { session } from "flow";

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await work(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("session: files are relations, results are rows, tables of Arrow and text", async () => {
  await inDirectory(async (directory) => {
    await Deno.writeTextFile(
      `${directory}/orders.csv`,
      "id,customer,total\n1,ann,2.5\n2,bob,4\n3,ann,1\n",
    );
    await Deno.writeTextFile(`${directory}/customers.json`, '[{"name":"ann"},{"name":"bob"}]');
    await using s = await session();
    await s.registerCsv("orders", `${directory}/orders.csv`);
    await s.registerJson("customers", `${directory}/customers.json`);
    const result = await s.sql(
      "SELECT name, sum(total) AS total, count(*) AS n FROM orders JOIN customers ON name = customer " +
        "GROUP BY ALL ORDER BY name; -- a comment",
    );
    assert.equal(result.rowCount, 2);
    assert.deepEqual(result.columns.map(({ name }) => name), ["name", "total", "n"]);
    assert.deepEqual(await result.rows(), [
      { name: "ann", total: 3.5, n: 2n },
      { name: "bob", total: 4, n: 1n },
    ]);
    assert.equal(
      String(result),
      "name  total  n\n----  -----  -\nann     3.5  2\nbob     4.0  1\n(2 rows)\n",
    );
    assert.equal(Deno.inspect(result), String(result).trimEnd());
    const table = await result.toArrow();
    assert.deepEqual([...table.getChild("name") ?? []], ["ann", "bob"]);
    assert.deepEqual([...table.getChild("n") ?? []], [2n, 1n]);
  });
});

Deno.test("session: a Parquet file, a view of one's own, and a result that stays", async () => {
  await inDirectory(async (directory) => {
    await Deno.copyFile(
      new URL("../node_modules/vega-datasets/data/flights-3m.parquet", import.meta.url),
      `${directory}/flights.parquet`,
    );
    await using s = await session();
    await s.registerParquet("flights", `${directory}/flights.parquet`);
    await s.run("CREATE VIEW late AS SELECT * FROM flights WHERE delay > 60");
    const late = await s.sql("SELECT count(*) AS n FROM late");
    const all = await s.sql("SELECT * FROM flights");
    assert.equal(all.rowCount, 3_000_000);
    assert.match(String(all), /\(first 20 rows of 3000000\)\n$/);
    await s.run("DROP VIEW late");
    const [row] = await late.rows<{ n: bigint }>();
    assert(row !== undefined && row.n > 0n && row.n < 3_000_000n);
    await late.close();
    await assert.rejects(() => late.rows(), { code: "sql_invalid" });
  });
});

Deno.test("session: SQL itself reads no files, and errors say what is wrong", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/orders.csv`;
    await Deno.writeTextFile(path, "id\n1\n");
    const s = await session();
    await assert.rejects(() => s.sql(`SELECT * FROM read_csv('${path}')`), { code: "sql_denied" });
    await assert.rejects(() => s.sql("SELECT nope"), { code: "sql_invalid", message: /nope/ });
    await assert.rejects(() => s.sql("SELECT 1; SELECT 2"), { code: "sql_invalid" });
    await assert.rejects(() => s.registerParquet("x", `${directory}/none.parquet`), {
      code: "file_unreadable",
      message: /none\.parquet/,
    });
    await assert.rejects(() => s.registerParquet("x", path), {
      code: "file_unreadable",
      message: /orders\.csv/,
    });
    await s.close();
    await s.close();
    await assert.rejects(() => s.sql("SELECT 1"), { code: "engine_closed" });
  });
});
