import assert from "node:assert/strict";
import * as v from "valibot";
import { secretText } from "../core/connector.ts";
import {
  choicesOf,
  descriptionOf,
  findMisfits,
  isSecretSchema,
  keysOf,
  restoreDataKeys,
  schemaAt,
} from "./schema_shape.ts";

Deno.test("secrets are seen through options, descriptions, checks and unions", () => {
  for (
    const schema of [
      secretText(),
      v.optional(secretText()),
      v.pipe(secretText(), v.description("x")),
      v.optional(v.pipe(secretText(), v.description("x"))),
      v.nullish(v.union([v.number(), secretText()])),
      v.optional(v.pipe(v.string(), v.url(), secretText())),
    ]
  ) {
    assert.ok(isSecretSchema(schema));
  }
  assert.ok(!isSecretSchema(v.string()));
  assert.ok(!isSecretSchema(v.pipe(v.string(), v.transform((text) => text.length))));
  assert.ok(!isSecretSchema(v.pipe(v.string(), v.transform(() => assert.fail("it throws")))));
});

Deno.test("schemas are found by path through every kind of container", () => {
  const leaf = v.pipe(v.picklist(["a", "b"]), v.description("a leaf"));
  const schema = v.strictObject({
    optional: v.optional(v.strictObject({ leaf })),
    list: v.array(v.object({ leaf })),
    tuple: v.strictTuple([v.string(), leaf]),
    record: v.record(v.string(), leaf),
    union: v.union([v.string(), v.strictObject({ leaf: v.optional(leaf) })]),
  });
  for (
    const path of [["optional", "leaf"], ["list", 7, "leaf"], ["tuple", 1], ["record", "x"], [
      "union",
      "leaf",
    ]]
  ) {
    const found = schemaAt(schema, path);
    assert.ok(found !== undefined, String(path));
    assert.deepEqual(choicesOf(found), ["a", "b"]);
    assert.equal(descriptionOf(found), "a leaf");
  }
  assert.equal(schemaAt(schema, ["nothing", "leaf"]), undefined);
  assert.equal(schemaAt(schema, ["optional", "constructor"]), undefined);
  assert.deepEqual(keysOf(v.optional(schema)), ["optional", "list", "tuple", "record", "union"]);
  assert.equal(keysOf(v.record(v.string(), v.string())), undefined);
});

Deno.test("every unknown key is found, and lists where tables should be", () => {
  const inner = v.strictObject({ a: v.optional(v.string()) });
  const schema = v.strictObject({
    inner: v.optional(inner),
    list: v.optional(v.array(inner)),
    record: v.optional(v.record(v.string(), inner)),
  });
  const found: string[] = [];
  findMisfits(schema, {
    x: 1,
    y: 2,
    inner: { z: 1 },
    list: [{ a: "" }, { w: 1 }, []],
    record: { any: { q: 1 } },
  }, {
    unknownKey: (path, valid) => found.push(`${path.join(".")} (${valid.join(" ")})`),
    list: (path) => found.push(`${path.join(".")} is a list`),
  });
  assert.deepEqual(found, [
    "x (inner list record)",
    "y (inner list record)",
    "inner.z (a)",
    "list.1.w (a)",
    "list.2 is a list",
    "record.any.q (a)",
  ]);
});

Deno.test("only tables of the user's own keys get their names back", () => {
  const schema = v.strictObject({
    max_rows: v.number(),
    headers: v.optional(v.record(v.string(), v.unknown())),
    nested: v.array(
      v.strictObject({ columns: v.record(v.string(), v.string()), in_it: v.number() }),
    ),
    made: v.record(
      v.string(),
      v.union([
        v.string(),
        v.strictObject({ null_rate: v.number(), values: v.array(v.unknown()) }),
      ]),
    ),
  });
  assert.deepEqual(
    restoreDataKeys(schema, {
      max_rows: 1,
      headers: { my_key: { in_side: 1 } },
      nested: [{ columns: { user_id: "x", a__b: "y" }, in_it: 1 }],
      un_known: { a_b: 1 },
      made: { user_id: { null_rate: 1, values: [{ a_b: 1 }] } },
    }),
    {
      max_rows: 1,
      headers: { myKey: { inSide: 1 } },
      nested: [{ columns: { userId: "x", a_b: "y" }, in_it: 1 }],
      un_known: { a_b: 1 },
      made: { userId: { null_rate: 1, values: [{ aB: 1 }] } },
    },
  );
});
