import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { gzipSync } from "node:zlib";
import { flow, inDirectory, testEach } from "./flow_program.ts";

const KILLED = 137;
const IDS = Array.from({ length: 20_000 }, (_id, at) => at);
const LINES = IDS.map((id) => `{"id":${id},"x":"${Math.sin(id)}"}`).join("\n");

function definition(deadLetters: string): string {
  return `pipeline_name = "events"
source_query = "**"
max_batch_rows = 4000
${deadLetters}

[source]
kind = "object_store_local"
path = "in"
poll_interval_ms = 100

[target]
kind = "sqlite"
path = "events.db"
[target.table]
name = "events"
`;
}

/** Good files, and between them a Parquet file that is none and an archive that was cut; all of them a day old. */
async function putFiles(cwd: string): Promise<void> {
  const archive = gzipSync(LINES);
  const files: Record<string, string | Uint8Array> = {
    "a.jsonl": '{"id":-1}\n{"id":-2}\n',
    "b.parquet": "no parquet at all",
    "c.jsonl.gz": archive.subarray(0, archive.length >> 1),
    "d.jsonl": '{"id":-3}\n',
  };
  await Deno.mkdir(`${cwd}/in`);
  const yesterday = new Date(Date.now() - 86_400_000);
  for (const [name, content] of Object.entries(files)) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(`${cwd}/in/${name}`, bytes);
    await Deno.utime(`${cwd}/in/${name}`, yesterday, yesterday);
  }
}

function query(cwd: string, sql: string, file = "events.db"): Record<string, unknown>[] {
  const database = new DatabaseSync(`${cwd}/${file}`);
  try {
    return database.prepare(sql).all().map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}

testEach("broken files become letters, also with kills in between", async (program) => {
  const toml = definition('dead_letter_table = "letters"');
  await inDirectory({ "p.toml": toml }, async (cwd) => {
    await putFiles(cwd);
    const args = ["consume", "p.toml", "--until-end"];
    for (const failpoint of ["after_dead_letters:1", "after_commit:2", "after_write:3"]) {
      const { code } = await flow(program, args, { cwd, env: { FLOW_FAILPOINT: failpoint } });
      assert.equal(code, KILLED, failpoint);
    }
    const { code, stderr } = await flow(program, args, { cwd });
    assert.equal(code, 0, stderr);
    const letters = query(
      cwd,
      "SELECT partition, source_offset AS row, stage, error, CAST(payload AS TEXT) AS payload " +
        "FROM letters ORDER BY partition",
    );
    const read = Number(query(cwd, "SELECT count(*) AS n FROM events WHERE id >= 0")[0]?.["n"]);
    assert.ok(read > 4000 && read < IDS.length, `${read} rows`);
    assert.deepEqual(letters.map(({ partition, row, stage }) => [partition, row, stage]), [
      ["b.parquet", 0, "decode"],
      ["c.jsonl.gz", read, "decode"],
    ]);
    assert.match(String(letters[0]?.["error"]), /^the file 'b\.parquet' cannot be read: /);
    assert.equal(letters[0]?.["payload"], "b.parquet");
    assert.match(
      String(letters[1]?.["error"]),
      /'c\.jsonl\.gz', from row \d+ on, .*unexpected end/,
    );
    assert.deepEqual(
      query(cwd, "SELECT count(*) AS n, count(DISTINCT id) AS ids, min(id) AS least FROM events"),
      [{ n: read + 3, ids: read + 3, least: -3 }],
    );
  });
});

testEach("a broken file ends a pipeline without dead letters, and is named", async (program) => {
  await inDirectory({ "p.toml": definition("") }, async (cwd) => {
    await putFiles(cwd);
    const args = ["consume", "p.toml", "--until-end"];
    for (let run = 0; run < 2; run += 1) {
      const { code, stderr } = await flow(program, args, { cwd });
      assert.equal(code, 11);
      assert.match(stderr, /partition b\.parquet offset 0: the file 'b\.parquet' cannot be read/);
    }
    // Mended under its own name, it is read: nothing was passed over.
    await Deno.remove(`${cwd}/in/b.parquet`);
    await Deno.remove(`${cwd}/in/c.jsonl.gz`);
    await Deno.writeFile(`${cwd}/in/c.jsonl.gz`, gzipSync(LINES));
    const { code, stderr } = await flow(program, args, { cwd });
    assert.equal(code, 0, stderr);
    assert.deepEqual(
      query(cwd, "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM events"),
      [{ n: IDS.length + 3, ids: IDS.length + 3 }],
    );
  });
});

const TWO_TARGETS = `pipeline_name = "events"
source_query = "*"
dead_letter_file = "letters.jsonl"

[source]
kind = "object_store_local"
path = "in"
poll_interval_ms = 100

[[targets]]
kind = "sqlite"
path = "events.db"
[targets.table]
name = "events"

[[targets]]
kind = "sqlite"
path = "others.db"
[targets.table]
name = "events"
`;

testEach(
  "a refused file that was mended comes once into each target, also with kills",
  async (program) => {
    await inDirectory({ "p.toml": TWO_TARGETS }, async (cwd) => {
      await Deno.mkdir(`${cwd}/in`);
      const put = async (content: string | Uint8Array, day: number) => {
        const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
        await Deno.writeFile(`${cwd}/in/a.jsonl.gz`, bytes);
        await Deno.utime(`${cwd}/in/a.jsonl.gz`, 86_400 * day, 86_400 * day);
      };
      const args = ["consume", "p.toml", "--until-end"];
      await put("no archive", 1);
      assert.equal((await flow(program, args, { cwd })).code, 0);
      assert.equal((await Deno.readTextFile(`${cwd}/letters.jsonl`)).trim().split("\n").length, 1);
      await put(gzipSync('{"id":1}\n{"id":2}\n'), 2);
      for (const failpoint of ["after_commit:1", "after_commit:1", "before_acknowledge:1"]) {
        await flow(program, args, { cwd, env: { FLOW_FAILPOINT: failpoint } });
      }
      const { code, stderr } = await flow(program, args, { cwd });
      assert.equal(code, 0, stderr);
      for (const file of ["events.db", "others.db"]) {
        const rows = query(
          cwd,
          "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM events",
          file,
        );
        assert.deepEqual(rows, [{ n: 2, ids: 2 }], file);
      }
      assert.equal((await Deno.readTextFile(`${cwd}/letters.jsonl`)).trim().split("\n").length, 1);
    });
  },
);

const FAN_IN = `pipeline_name = "events"
dead_letter_file = "letters.jsonl"
max_batch_rows = 1

[[sources]]
kind = "object_store_local"
path = "csv"
query = "*.csv"

[[sources]]
kind = "object_store_local"
path = "json"
query = "*.jsonl"

[target]
kind = "sqlite"
path = "events.db"
[target.table]
name = "events"

[transform]
sql = "SELECT id, n, x FROM source"
`;

testEach("a broken file says nothing about the columns of a fan-in", async (program) => {
  await inDirectory({ "p.toml": FAN_IN }, async (cwd) => {
    const yesterday = new Date(Date.now() - 86_400_000);
    const files: Record<string, string | Uint8Array> = {
      "csv/a.csv": "id,n\n1,2\n",
      "csv/b.csv": Uint8Array.of(0xff, 0xfe, 0x69, 0x00),
      "json/a.jsonl": IDS.slice(0, 60).map((id) => `{"id":${id + 10},"x":${id}}\n`).join(""),
    };
    for (const [name, content] of Object.entries(files)) {
      const path = `${cwd}/${name}`;
      await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await Deno.writeFile(path, bytes);
      await Deno.utime(path, yesterday, yesterday);
    }
    const { code, stderr } = await flow(program, ["consume", "p.toml", "--until-end"], { cwd });
    assert.equal(code, 0, stderr);
    assert.deepEqual(query(cwd, "SELECT count(*) AS rows, sum(n) AS n FROM events"), [
      { rows: 61, n: 2 },
    ]);
    const letter = JSON.parse(await Deno.readTextFile(`${cwd}/letters.jsonl`)) as {
      readonly partition: string;
      readonly error: string;
    };
    assert.equal(letter.partition, "b.csv");
    assert.match(letter.error, /UTF-16/);
  });
});
