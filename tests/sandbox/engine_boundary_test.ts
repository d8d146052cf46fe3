import assert from "node:assert/strict";
import { flow, testEach } from "../cli/flow_program.ts";
import { failure, inProject } from "./boundary.ts";

function definition(
  target: string,
  sql = "SELECT * FROM source",
  source?: string,
  query = "orders",
): string {
  return `pipeline_name = "orders"
source_query = "${query}"
[source]
${source === undefined ? `kind = "datagen"\nrows = 10\n[source.columns]\nid = "sequence"` : source}
[target]
${target}
[target.table]
name = "orders"
[transform]
sql = """${sql}"""
`;
}

const FILES_TARGET = `kind = "object_store_local"\npath = "out"\nformat = "json"`;
const ALLOWED = ["--allow-read=out,.flow,data", "--allow-write=out,.flow"];

/** SQL that reaches for files, from a TOML definition. */
const SQL: readonly { readonly what: string; readonly sql: string; readonly code: string }[] = [
  {
    what: "read_text of a file",
    sql: "SELECT s.*, t.content FROM source s, read_text('/etc/passwd') t",
    code: "sql_denied",
  },
  {
    what: "read_text in a directory that connectors may read",
    sql: "SELECT s.*, t.content FROM source s, read_text('data/x.txt') t",
    code: "sql_denied",
  },
  {
    what: "read_text through a symbolic link",
    sql: "SELECT s.*, t.content FROM source s, read_text('data/link') t",
    code: "sql_denied",
  },
  {
    what: "read_text through ..",
    sql: "SELECT s.*, t.content FROM source s, read_text('data/../../outside.json') t",
    code: "sql_denied",
  },
  {
    what: "read_csv in a subquery",
    sql: "SELECT id, (SELECT count(*) FROM read_csv('/etc/passwd')) AS n FROM source",
    code: "sql_denied",
  },
  { what: "glob", sql: "SELECT file FROM glob('/etc/*')", code: "sql_denied" },
  { what: "COPY", sql: "COPY (SELECT 1) TO 'out/x.csv'", code: "transform_invalid" },
  { what: "ATTACH", sql: "ATTACH 'out/x.db' AS x", code: "transform_invalid" },
  {
    what: "a second statement",
    sql: "SELECT * FROM source; ATTACH 'out/x.db' AS x",
    code: "transform_invalid",
  },
  {
    what: "a lifted lock",
    sql: "SET enable_external_access = true",
    code: "transform_invalid",
  },
];

for (const { what, sql, code } of SQL) {
  testEach(`SQL does not reach files: ${what}`, async (program) => {
    const files = { "orders.toml": definition(FILES_TARGET, sql), "data/x.txt": "x" };
    await inProject(files, async (project, outside) => {
      await Deno.writeTextFile(`${outside}/outside.json`, `{"secret":42}`);
      await Deno.symlink("/etc/passwd", `${project}/data/link`);
      for (const flags of [[], ALLOWED]) {
        const args = ["consume", "orders.toml", "--until-end", ...flags];
        const { error } = await failure(program, args, project);
        assert.equal(error.code, code, JSON.stringify(error));
        assert.match(error.hint ?? "", /--allow-read=PATH|write SELECT/);
      }
      await assert.rejects(Deno.stat(`${project}/out/x.csv`), Deno.errors.NotFound);
      await assert.rejects(Deno.stat(`${project}/out/x.db`), Deno.errors.NotFound);
    });
  });
}

testEach("SQL of a module does not reach files either", async (program) => {
  const module = `import { datagen, objectStoreLocal, streamingPipeline } from "flow";
streamingPipeline("orders", {
  source: datagen({ columns: { id: "sequence" }, rows: 10 }),
  sourceQuery: "orders",
  target: objectStoreLocal({ name: "out", path: "out", format: "json" }),
  targetTable: "orders",
  transformSql: "SELECT s.*, t.content FROM source s, read_text('/etc/passwd') t",
});
`;
  await inProject({ "main.ts": module }, async (project) => {
    const args = ["consume", "--module", "main.ts", "orders", "--until-end"];
    const { error } = await failure(program, args, project);
    assert.equal(error.code, "sql_denied", JSON.stringify(error));
  });
});

/** Connectors that reach for what was not granted. */
const CONNECTORS: readonly {
  readonly what: string;
  readonly toml: string;
  readonly flags: readonly string[];
  readonly hint: RegExp;
}[] = [
  {
    what: "a directory that may not be written",
    toml: definition(FILES_TARGET),
    flags: ["--sandbox"],
    hint: /--allow-(read|write)=\S*out/,
  },
  {
    what: "files that may not be read",
    toml: definition(
      FILES_TARGET,
      undefined,
      `kind = "object_store_local"\npath = "/etc"\nformat = "json"`,
      "*.jsonl",
    ),
    flags: ALLOWED,
    hint: /--allow-read=\/etc/,
  },
  {
    what: "a database file that may not be written",
    toml: definition(`kind = "duckdb"\npath = "secret.duckdb"`),
    flags: ALLOWED,
    hint: /--allow-(read|write)=\S*secret\.duckdb/,
  },
  {
    what: "an SQLite file that may not be written",
    toml: definition(`kind = "sqlite"\npath = "secret.db"`),
    flags: ALLOWED,
    hint: /--allow-(read|write)=\S*secret\.db/,
  },
  {
    what: "a server that may not be reached",
    toml: definition(`kind = "postgres"\nurl = "postgres://u@127.0.0.1:1/db"`),
    flags: ["--allow-net=127.0.0.1:2"],
    hint: /--allow-net=127\.0\.0\.1:1/,
  },
  {
    what: "a server by name that may not be reached",
    toml: definition(`kind = "postgres"\nurl = "postgres://u@localhost:1/db"`),
    flags: ["--allow-net=127.0.0.1:2"],
    hint: /--allow-net=localhost/,
  },
  {
    what: "a broker that may not be reached",
    toml: definition(
      FILES_TARGET,
      undefined,
      `kind = "kafka"\nbootstrap_servers = "127.0.0.1:1"\ngroup_id = "g"`,
    ),
    flags: ALLOWED,
    hint: /--allow-net=127\.0\.0\.1:1/,
  },
  {
    what: "a variable that may not be read",
    toml: definition(`kind = "postgres"\nurl = "\${FLOW_TEST_SECRET}"`),
    flags: ["--allow-net"],
    hint: /--allow-env=FLOW_TEST_SECRET/,
  },
];

for (const { what, toml, flags, hint } of CONNECTORS) {
  testEach(`the engine is held by the same flags: ${what}`, async (program) => {
    await inProject({ "orders.toml": toml }, async (project) => {
      const args = ["consume", "orders.toml", "--until-end", ...flags];
      const env = { FLOW_TEST_SECRET: "postgres://u:s3cr3t@127.0.0.1:1/db" };
      const { error, ended } = await failure(program, args, project, env);
      assert.match(`${error.message} ${error.hint}`, hint, JSON.stringify(error));
      assert.doesNotMatch(ended.stdout + ended.stderr, /s3cr3t/);
    });
  });
}

testEach("the allowed pipeline runs, with just what it needs", async (program) => {
  const module = `import { datagen, objectStoreLocal, streamingPipeline } from "flow";
const path: string = Deno.env.get("OUT") ?? "";
streamingPipeline("orders", {
  source: datagen({ columns: { id: "sequence" }, rows: 10 }),
  sourceQuery: "orders",
  target: objectStoreLocal({ name: "out", path, format: "json" }),
  targetTable: "orders",
  transformSql: "SELECT id * 2 AS twice FROM source",
});
`;
  await inProject({ "main.ts": module }, async (project) => {
    const args = ["consume", "--module", "main.ts", "orders", "--until-end"];
    const flags = [...ALLOWED, "--allow-env=OUT"];
    const { code, stderr } = await flow(program, [...args, ...flags], {
      cwd: project,
      env: { OUT: "out" },
    });
    assert.equal(code, 0, stderr);
    const lines: string[] = [];
    for await (const { name } of Deno.readDir(`${project}/out`)) {
      lines.push(...(await Deno.readTextFile(`${project}/out/${name}`)).trimEnd().split("\n"));
    }
    assert.equal(lines.length, 10);
    assert.ok(lines.every((line) => /^\{"twice":"?\d+"?\}$/.test(line)), lines[0]);
  });
});
