import assert from "node:assert/strict";
import { FlowError } from "../core/error.ts";
import { createEngine } from "./engine.ts";
import { withoutStatement } from "./sql_error.ts";

/** What the engine says of each of the statements, whole and without its look at the statement. */
async function told(statements: readonly string[]): Promise<(readonly [string, string])[]> {
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
  const engine = await createEngine({ scratchDir, threads: 1 });
  const session = await engine.connect();
  try {
    const messages: (readonly [string, string])[] = [];
    for (const sql of statements) {
      const error = await session.rows(sql).then(() => undefined, (thrown) => thrown);
      assert.ok(error instanceof FlowError, sql);
      messages.push([error.message, withoutStatement(error.message)]);
    }
    return messages;
  } finally {
    await engine.close();
    await Deno.remove(scratchDir, { recursive: true });
  }
}

Deno.test("what the engine says is cut where it points into the statement", async () => {
  const statements = [
    "SELECT\n CAST(v AS INTEGER) FROM (VALUES ('1'), ('x')) AS t(v)",
    "SELECT nope",
    "SELEC 1",
    `SELECT ${"1 + ".repeat(100)} nope ${"+ 1".repeat(100)}`,
    "SELECT sum('a', 'b')",
  ];
  const reasons = [
    /^Conversion Error: Could not convert string 'x' to INT32/,
    /^Binder Error: Referenced column "nope" .*$/s,
    /^Parser Error: syntax error at or near "SELEC"$/,
    /^Binder Error: Referenced column "nope" .*$/s,
    /^Binder Error: No function matches .*sum\(DECIMAL\)/s,
  ];
  const messages = await told(statements);
  messages.forEach(([whole, cut], at) => {
    assert.match(whole, /\n\nLINE \d+: .*\n *\^$/);
    assert.match(cut, reasons[at] ?? /^$/);
    assert.ok(whole.startsWith(cut));
    assert.doesNotMatch(cut, /LINE \d|\s$/);
  });
});

Deno.test("a value that looks like such a place stays", async () => {
  const value = "a\n\nLINE 2: b\n   ^\nc";
  const statements = [
    `SELECT error('${value}')`,
    `SELECT CAST(v AS INTEGER) FROM (VALUES ('${value}')) AS t(v)`,
  ];
  const [[whole, cut] = [], [, other] = []] = await told(statements);
  assert.equal(cut, whole);
  assert.ok(other?.includes(value), other);
  assert.doesNotMatch(other ?? "", /LINE 1/);
});
