import assert from "node:assert/strict";
import { flow, inDirectory, testEach } from "./flow_program.ts";
import { ordersToPostgres } from "./pipelines.ts";

const PASSWORD = "s3cr3t-Pa55";
const URL = `postgres://ann:${PASSWORD}@127.0.0.1:1/db`;
const FILE = `[connections.lake]
kind = "object_store_local"
path = "."

[connections.broker]
kind = "kafka"
bootstrap_servers = "127.0.0.1:1"
group_id = "flow"
security_protocol = "SASL_PLAINTEXT"
sasl_mechanism = "PLAIN"
sasl_plain_username = "ann"
sasl_plain_password = "${PASSWORD}"
`;

testEach("connections list without any says so", async (program) => {
  await inDirectory({}, async (cwd) => {
    const { code, stdout, stderr } = await flow(program, ["connections", "list"], { cwd });
    assert.deepEqual({ code, stdout, stderr }, {
      code: 0,
      stdout: "no connections configured\n",
      stderr: "",
    });
  });
});

testEach("connections list shows name, kind, address and origin in columns", async (program) => {
  await inDirectory({ ".ematix-flow.toml": FILE }, async (cwd) => {
    const env = { EMATIX_FLOW_DSN_WAREHOUSE: URL };
    const { code, stdout } = await flow(program, ["connections", "list"], { cwd, env });
    assert.equal(code, 0);
    const lines = stdout.trimEnd().split("\n").sort();
    assert.equal(lines.length, 3);
    assert.match(lines[1] ?? "", /^lake {7}object_store_local {2}.* {2}\S*\.ematix-flow\.toml$/);
    assert.match(
      lines[2] ?? "",
      /^warehouse {2}postgres {12}postgres:\/\/ann:\*\*\*@127\.0\.0\.1:1\/db {2,}EMATIX_FLOW_DSN_WAREHOUSE$/,
    );
    const json = await flow(program, ["connections", "list", "--format", "json"], { cwd, env });
    const names = JSON.parse(json.stdout).connections.map(({ name }: { name: string }) => name);
    assert.deepEqual(names.sort(), ["broker", "lake", "warehouse"]);
  });
});

testEach("connections check tells what works", async (program) => {
  await inDirectory({ ".ematix-flow.toml": FILE }, async (cwd) => {
    const { code, stdout, stderr } = await flow(program, ["connections", "check", "lake"], { cwd });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^lake: ok \(.+\)\n$/);
    const json = await flow(program, ["connections", "check", "lake", "--format=json"], { cwd });
    assert.equal(JSON.parse(json.stdout).ok, true);
  });
});

testEach("connections check tells what does not", async (program) => {
  await inDirectory({}, async (cwd) => {
    const away = await flow(program, ["connections", "check", "warehouse"], {
      cwd,
      env: { EMATIX_FLOW_DSN_WAREHOUSE: URL },
    });
    assert.equal(away.code, 20);
    assert.equal(away.stdout, "");
    assert.match(away.stderr, /^warehouse: unreachable — .*127\.0\.0\.1:1/);
    const unknown = await flow(program, ["connections", "check", "warehouse"], { cwd });
    assert.equal(unknown.code, 10);
    assert.match(
      unknown.stderr,
      /^error: connection 'warehouse' is not configured\. Looked for env var EMATIX_FLOW_DSN_WAREHOUSE, /,
    );
  });
});

testEach("no output shows a credential", async (program) => {
  const files = {
    ".ematix-flow.toml": FILE,
    "away.toml": ordersToPostgres(URL),
    "encoded.toml": ordersToPostgres(URL.replace(PASSWORD, "s3cr3t%2DPa55")),
    "wrong.toml": ordersToPostgres(URL).replace("[target.table]", `pasword = "${PASSWORD}"\n$&`),
    "broken.toml": ordersToPostgres(URL).replace(`/db"`, "/db"),
    "m.ts":
      `import { postgres } from "flow";\nconst p = postgres({ name: "p", url: "${URL}" });\n` +
      "throw new Error(`cannot use ${JSON.stringify(p)}`);\n",
  };
  const lines = [
    "connections list",
    "connections list --format json",
    "connections check warehouse -v",
    "connections check warehouse --format json",
    "connections check broker -v",
    "consume away.toml -v",
    "consume away.toml -v --format json",
    "consume away.toml --restart-on-error --max-restarts 1 --min-backoff-ms 1 -v",
    "consume encoded.toml -v",
    "consume wrong.toml -v",
    "consume broken.toml -v",
    "consume --module m.ts -v",
    `consume ${URL}`,
    `${URL}`,
    `consume away.toml --module=${URL}`,
  ];
  await inDirectory(files, async (cwd) => {
    for (const line of lines) {
      const env = { EMATIX_FLOW_DSN_WAREHOUSE: URL };
      const { stdout, stderr } = await flow(program, line.split(" "), { cwd, env });
      const all = stdout + stderr;
      assert(all.length > 0, line);
      assert.doesNotMatch(all, /s3cr3t/, line);
    }
  });
});
