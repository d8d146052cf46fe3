import assert from "node:assert/strict";
import { chooseRunLog, parseRunLogUrl } from "./run_log_location.ts";

function shown(text: string): string {
  const location = parseRunLogUrl(text);
  if (location === "memory") return "memory";
  const where = location.path ?? location.url?.reveal();
  return `${location.kind} ${where}${location.createTables ? "" : " without DDL"}`;
}

Deno.test("a run log is a file, a Postgres database, or memory", () => {
  const expected: readonly (readonly [string, string])[] = [
    ["sqlite://path/to/run_log.db", "sqlite path/to/run_log.db"],
    ["sqlite:///var/run_log.db", "sqlite /var/run_log.db"],
    ["sqlite:///var/run%20log.db", "sqlite /var/run log.db"],
    ["sqlite:///var/100%.db", "sqlite /var/100%.db"],
    ["sqlite:///var/r.db?create_tables=false", "sqlite /var/r.db without DDL"],
    ["file:///var/r.db", "sqlite /var/r.db"],
    ["run_log.db", "sqlite run_log.db"],
    ["/var/flow/run?log.db", "sqlite /var/flow/run?log.db"],
    ["C:\\flow\\run_log.db", "sqlite C:\\flow\\run_log.db"],
    ["memory://", "memory"],
    [":memory:", "memory"],
    ["sqlite://:memory:", "memory"],
    ["sqlite:///:memory:", "memory"],
    ["postgres://flow@host/db", "postgres postgres://flow@host/db"],
    [
      "postgresql://flow@host/db?create_tables=false&sslmode=require",
      "postgres postgresql://flow@host/db?sslmode=require without DDL",
    ],
    ["postgres://flow@host/db?create_tables=false", "postgres postgres://flow@host/db without DDL"],
    ["postgres://flow@host/db?create_tables=true", "postgres postgres://flow@host/db"],
  ];
  for (const [text, location] of expected) assert.equal(shown(text), location);
});

Deno.test("a password is not shown", () => {
  const location = parseRunLogUrl("postgres://flow:geheim/@99@host/db?sslmode=require");
  assert.ok(location !== "memory");
  assert.equal(location.shown, "postgres://flow:***@host/db?sslmode=require");
  assert.doesNotMatch(Deno.inspect(location), /geheim/);
});

Deno.test("what is no place for it is refused with what there is", () => {
  for (
    const text of [
      "mysql://flow:geheim98@host/db",
      "duckdb://run_log.duckdb",
      "s3://bucket/prefix?region=eu",
      "gcs://bucket",
      "azureblob://account/container",
      "http://host",
      "sqlite://",
      "",
    ]
  ) {
    assert.throws(() => parseRunLogUrl(text), (error: Error & { code?: string; hint?: string }) => {
      assert.equal(error.code, "run_log_unsupported", text);
      assert.match(error.hint ?? "", /sqlite:\/\/.*or/);
      assert.doesNotMatch(error.message, /geheim/);
      return true;
    });
  }
});

Deno.test("the flag goes before the variables, and those before the home directory", () => {
  const variables: Record<string, string> = {
    EMATIX_FLOW_RUN_LOG_URL: "sqlite://from_url.db",
    EMATIX_FLOW_RUN_LOG_PATH: "/from/path.db",
    HOME: "/home-of/x/",
  };
  const choose = (choice: { url?: string; off?: boolean } = {}) => {
    const { location, from } = chooseRunLog(choice, (name) => variables[name]);
    return `${from} ${location === "memory" ? location : location.path}`;
  };
  assert.equal(choose({ off: true, url: "x.db" }), "off memory");
  assert.equal(choose({ url: "x.db" }), "flag x.db");
  assert.equal(choose(), "EMATIX_FLOW_RUN_LOG_URL from_url.db");
  variables["EMATIX_FLOW_RUN_LOG_URL"] = "";
  assert.equal(choose(), "EMATIX_FLOW_RUN_LOG_PATH /from/path.db");
  delete variables["EMATIX_FLOW_RUN_LOG_PATH"];
  assert.equal(choose(), "home /home-of/x/.ematix-flow/run_log.db");
  delete variables["HOME"];
  assert.throws(() => choose(), { code: "run_log_homeless", domain: "user" });
});
