import assert from "node:assert/strict";
import {
  bigint,
  ColumnDefinition,
  decimal,
  kafka,
  pipeline,
  type PipelineOptions,
  postgres,
  string,
  table,
  target,
  text,
  timestamptz,
} from "../mod.ts";
import { moduleBatch, moduleProblems } from "./batch_fixtures.ts";
import { errorOf } from "./definition_fixtures.ts";
import { collectDefinitions } from "./registry.ts";

/** What types would refuse, written by somebody without a type checker. */
function untyped(name: string, options: Readonly<Record<string, unknown>>): void {
  pipeline(name, options as unknown as PipelineOptions);
}

const events = () =>
  table("public.events", { event_id: bigint().primaryKey(), receivedAt: timestamptz() });

Deno.test("a pipeline is registered with the place of its call", () => {
  const before = collectDefinitions().length;
  const defined = pipeline("p", { target: events(), source: "SELECT 1" });
  assert.equal(defined.name, "p");
  assert.ok(Object.isFrozen(defined));
  const [definition] = collectDefinitions().slice(before);
  assert.equal(definition?.kind, "pipeline");
  assert.match(definition.origin.file, /batch_builder_test\.ts$/);
  assert.ok((definition.origin.line ?? 0) > 1);
});

Deno.test("columns are immutable, and each method makes another", async () => {
  const plain = string(10);
  const key = plain.primaryKey();
  assert.ok(key instanceof ColumnDefinition && key !== plain);
  const definitions = await moduleBatch(() => {
    const columns = { plain, key, clean: plain.upper().trim().nullable().naturalKey() };
    pipeline("p", { target: table("t", columns), source: "SELECT 1" });
  });
  const [loaded] = (await definitions.batch()).targets;
  assert.deepEqual(loaded?.table.columns, [
    { name: "plain", type: "VARCHAR", maxLength: 10, nullable: false, normalizers: [] },
    { name: "key", type: "VARCHAR", maxLength: 10, nullable: false, normalizers: [] },
    {
      name: "clean",
      type: "VARCHAR",
      maxLength: 10,
      nullable: true,
      normalizers: ["upper", "trim"],
    },
  ]);
  assert.deepEqual(loaded.table.primaryKey, ["key"]);
  assert.deepEqual(loaded.table.naturalKey, ["clean"]);
});

Deno.test("names of columns stay as they are written", async () => {
  const definitions = await moduleBatch(() => {
    const columns = { customer_id: bigint().primaryKey(), lastSeen: text(), _odd__Name: text() };
    pipeline("p", {
      target: table("t", columns, { unique: [["lastSeen", "_odd__Name"]] }),
      mode: "merge",
      keys: ["lastSeen"],
      sourceTable: { schema: "raw", name: "people" },
      columnMap: { lastSeen: "last_seen", _odd__Name: "x" },
    });
  });
  const { targets: [loaded], source } = await definitions.batch();
  assert.deepEqual(loaded?.table.columns.map(({ name }) => name), [
    "customer_id",
    "lastSeen",
    "_odd__Name",
  ]);
  assert.deepEqual(loaded.table.uniqueGroups, [["lastSeen", "_odd__Name"]]);
  assert.deepEqual(source, {
    by: "table",
    table: { schema: "raw", name: "people" },
    columnMap: { lastSeen: "last_seen", _odd__Name: "x" },
  });
});

Deno.test("printing shows no content", () => {
  const connection = postgres({ url: "postgres://me:sEcret1@h/d" });
  const one = target(events(), { connection });
  assert.equal(String(events()), "table public.events");
  assert.equal(Deno.inspect(bigint().primaryKey()), "column of type bigint");
  assert.equal(JSON.stringify({ one }), '{"one":"target (table, connection set)"}');
});

Deno.test("a table's name has one or two parts", () => {
  for (const name of ["a.b.c", "", '"']) {
    assert.throws(() => table(name), { code: "definition_invalid" }, name);
  }
  assert.equal(String(table('"odd.name"')), "table odd.name");
});

Deno.test("problems of a module are told in its own spelling", async () => {
  assert.deepEqual(
    await moduleProblems(() =>
      untyped("p", {
        target: table("t", {
          customer_id: bigint().primaryKey().nullable().lower(),
          money: decimal(99, 2),
        }),
        mode: "append",
        compareColumn: ["x"],
        eventTimestampColumn: "customer_id",
        source: "SELECT $some_name FROM s",
        parameters: { some_nmae: 1, bad_one: {} },
        dependsOn: [{}],
      })
    ),
    [
      "compareColumn: unknown key (did you mean compareColumns?)",
      "parameters.bad_one: expected a text in quotes, a number, true or false, or a date, got an object",
      "dependsOn[0]: expected a text in quotes, got an object",
      'eventTimestampColumn: only applies when mode = "scd2"; the mode is "append" (set mode = "scd2", or leave eventTimestampColumn out)',
      "source: the query uses $some_name, and parameters gives no value for it (did you mean $some_nmae?)",
      "parameters.some_nmae: the query does not use $some_nmae (it uses $some_name)",
      "parameters.bad_one: the query does not use $bad_one (leave it out)",
      "column 'customer_id': nullable: a column of the primary key takes no NULL, and nullable contradicts (leave out nullable or primaryKey)",
      "column 'customer_id': normalize: lower applies to texts, and the column is of type BIGINT (declare the column as text, or leave it out)",
      "column 'money': type: \"decimal(99, 2)\" is no type: a decimal has 1 to 38 digits, and no more of them after the point (such as decimal(18, 2))",
    ],
  );
});

Deno.test("what is no table, or no database, is told", async () => {
  assert.deepEqual(
    await moduleProblems(() =>
      untyped("p", { target: postgres({ url: "postgres://a@b/c" }), source: "SELECT 1" })
    ),
    [
      "target: expected a table, got a connection (give it as targetConnection, and a table(…) here)",
    ],
  );
  assert.deepEqual(
    await moduleProblems(() => untyped("p", { target: "public.x", source: "SELECT 1" })),
    ['target: expected a table that table(…) made, got a text (write table("public.x"))'],
  );
  assert.deepEqual(
    await moduleProblems(() =>
      untyped("p", {
        target: events(),
        targetConnection: kafka({ bootstrapServers: "h:1" }),
        source: "SELECT 1",
      })
    ),
    [
      "targetConnection: a connection (kind='kafka') cannot be used by a declared pipeline (kinds that can: postgres, duckdb)",
    ],
  );
  assert.deepEqual(
    await moduleProblems(() => untyped("p", { target: events(), source: () => "SELECT 1" })),
    ["source: expected the query as a text, got an object"],
  );
});

Deno.test("the type checker sees what no mode takes, and columns that are none", async () => {
  const dim = table("dim", { id: bigint().primaryKey(), at: timestamptz() });
  const from = { source: "SELECT 1" } as const;
  const error = await errorOf(
    moduleBatch(() => {
      // @ts-expect-error append has no versions
      pipeline("a", { ...from, target: dim, mode: "append", eventTimestampColumn: "at" });
      // @ts-expect-error append is the default
      pipeline("b", { ...from, target: dim, compareColumns: ["id"] });
      // @ts-expect-error merge deletes hard
      pipeline("c", { ...from, target: dim, mode: "merge", handleDeletes: "soft" });
      // @ts-expect-error no such column
      pipeline("d", { ...from, target: dim, mode: "merge", keys: ["idd"] });
      // @ts-expect-error incremental needs its column
      pipeline("e", { ...from, target: dim, mode: "incremental" });
      // @ts-expect-error both
      pipeline("f", { ...from, sourceTable: "t", target: dim });
      // @ts-expect-error no source
      pipeline("g", { target: dim });
      // @ts-expect-error Kafka is no database
      pipeline("h", { ...from, target: dim, sourceConnection: kafka({ bootstrapServers: "h:1" }) });
      // @ts-expect-error mode belongs to each target
      pipeline("i", { ...from, targets: [target(dim)], keys: ["id"] });
      // @ts-expect-error no such column
      table("t", { a: text() }, { unique: [["b"]] });
      // @ts-expect-error merge has no tie break
      target(dim, { mode: "merge", tieBreakColumn: "id" });
      pipeline("ok", { ...from, target: dim, mode: "scd2", eventTimestampColumn: "at" });
      pipeline("wide", { ...from, target: table("any"), mode: "merge", keys: ["whatever"] });
    }).then((definitions) => definitions.batchAll()),
  );
  assert.equal(error.code, "definition_invalid");
});
