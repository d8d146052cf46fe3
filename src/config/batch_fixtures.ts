import * as v from "valibot";
import assert from "node:assert/strict";
import type { BatchSpec } from "../core/batch_spec.ts";
import { type Connector, secretText } from "../core/connector.ts";
import { Secret } from "../core/secret.ts";
import { errorOf } from "./definition_fixtures.ts";
import { type Definitions, loadDefinitions } from "./definitions.ts";
import { fakeHost, type FakeHostContent } from "./fake_host.ts";
import { collectDefinitions } from "./registry.ts";

const unused = (): never => assert.fail("definitions are only loaded here, never run");

const text = (description: string) => v.pipe(v.string(), v.description(description));

/** Two of three kinds are databases. */
export const batchConnectors: readonly Connector[] = [
  {
    kind: "kafka",
    connectionOptions: { bootstrap_servers: text("host:port") },
    createSource: unused,
    createSink: unused,
  },
  {
    kind: "postgres",
    connectionOptions: { url: secretText() },
    urlSchemes: ["postgres", "postgresql"],
    createSink: unused,
    openDatabase: unused,
  },
  {
    kind: "duckdb",
    connectionOptions: { path: text("the database file") },
    createSink: unused,
    openDatabase: unused,
  },
];

/** A host whose connection `default` is a Postgres database. */
export const DEFAULT_ENV: FakeHostContent = {
  env: { EMATIX_FLOW_DSN: "postgres://flow:sEcret1@db/wh" },
};

/** A further database, whose texts have escapes. */
export const mysqlConnector: Connector = {
  kind: "mysql",
  connectionOptions: { url: secretText() },
  urlSchemes: ["mysql"],
  openDatabase: unused,
};

/** Definitions of a TOML text named `p.toml`. */
export function tomlBatch(
  text: string,
  content = DEFAULT_ENV,
  connectors = batchConnectors,
): Promise<Definitions> {
  return loadDefinitions({ from: "toml_text", text, name: "p.toml" }, {
    connectors,
    ...fakeHost(content),
  });
}

/** Definitions of what a module's code defines. */
export function moduleBatch(define: () => void, content = DEFAULT_ENV): Promise<Definitions> {
  const before = collectDefinitions().length;
  define();
  const definitions = structuredClone(collectDefinitions().slice(before));
  return loadDefinitions({ from: "module", module: "m.ts", definitions }, {
    connectors: batchConnectors,
    ...fakeHost(content),
  });
}

/** Every problem of definitions that must be invalid, each with its place and, in brackets, its hint. */
export async function batchProblems(definitions: Promise<Definitions>): Promise<string[]> {
  const error = await errorOf(definitions.then((found) => found.batchAll()));
  assert.equal(error.code, "definition_invalid", error.message);
  assert.ok(!error.message.includes("sEcret1"));
  const lines = error.message.split("\n");
  return lines.length === 1
    ? [error.hint === undefined ? error.message : `${error.message} (${error.hint})`]
    : lines.slice(1).map((line) => line.trim());
}

/** The same of a module, without the place in the test's own file. */
export async function moduleProblems(define: () => void): Promise<string[]> {
  const problems = await batchProblems(moduleBatch(define));
  return problems.map((problem) => {
    const [, rest] = /^\S*_test\.ts:\d+:\d+: (.*)$/.exec(problem) ?? [];
    assert.ok(rest !== undefined, problem);
    return rest;
  });
}

/** A spec without what differs between two ways to write the same. */
export function essence(spec: BatchSpec): unknown {
  const plain = (_key: string, value: unknown) => value instanceof Secret ? value.reveal() : value;
  return JSON.parse(JSON.stringify({ ...spec, origin: null }, plain));
}
