import assert from "node:assert/strict";
import { FlowError } from "../core/error.ts";
import type { RawDefinition } from "../core/request.ts";
import { type Definitions, loadDefinitions } from "./definitions.ts";
import { fakeConnectors } from "./fake_connectors.ts";
import { fakeHost, type FakeHostContent } from "./fake_host.ts";

/** Definitions of a TOML text named `p.toml`, with fake connectors and a fake host. */
export function fromToml(text: string, content: FakeHostContent = {}): Promise<Definitions> {
  return loadDefinitions({ from: "toml_text", text, name: "p.toml" }, {
    connectors: fakeConnectors,
    ...fakeHost(content),
  });
}

/** Definitions that a module made, with fake connectors and a fake host. */
export function fromModule(
  definitions: readonly RawDefinition[],
  content: FakeHostContent = {},
): Promise<Definitions> {
  return loadDefinitions({ from: "module", module: "m.ts", definitions }, {
    connectors: fakeConnectors,
    ...fakeHost(content),
  });
}

/** The error of an action that must fail. */
export async function errorOf(action: Promise<unknown>): Promise<FlowError> {
  try {
    await action;
  } catch (error) {
    assert.ok(error instanceof FlowError, String(error));
    return error;
  }
  return assert.fail("an error was expected");
}

/** Every problem of a TOML text that must be invalid, each with its place and, in brackets, its hint. */
export async function problemsOf(text: string, content?: FakeHostContent): Promise<string[]> {
  const error = await errorOf(fromToml(text, content).then((found) => found.streaming()));
  assert.equal(error.code, "definition_invalid");
  assert.equal(error.domain, "user");
  const lines = error.message.split("\n");
  return lines.length === 1
    ? [error.hint === undefined ? error.message : `${error.message} (${error.hint})`]
    : lines.slice(1).map((line) => line.trim());
}

/** Lines of a valid pipeline: `HEAD + KAFKA + POSTGRES` is one. */
export const KAFKA = '[source]\nkind = "kafka"\nbootstrap_servers = "localhost:9092"\n';
export const POSTGRES =
  '[target]\nkind = "postgres"\nurl = "postgres://localhost/wh"\ntable = { name = "t" }\n';
export const HEAD = 'pipeline_name = "p"\nsource_query = "events"\n';
