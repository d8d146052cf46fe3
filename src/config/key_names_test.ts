import assert from "node:assert/strict";
import fc from "fast-check";
import { camelName, nearestName, renameKeys, snakeName } from "./key_names.ts";

Deno.test("TypeScript names and TOML names lead to each other", () => {
  assert.equal(snakeName("bootstrapServers"), "bootstrap_servers");
  assert.equal(camelName("max_batch_wait_ms"), "maxBatchWaitMs");
  fc.assert(fc.property(fc.string(), (name) => {
    assert.equal(camelName(snakeName(name)), name);
  }));
});

Deno.test("a snake_case name in TypeScript stays wrong, and keeps its own spelling in messages", () => {
  assert.equal(snakeName("source_query"), "source__query");
  assert.equal(camelName("source__query"), "source_query");
});

Deno.test("keys are renamed at every depth, values stay", () => {
  const date = new Date(0);
  assert.deepEqual(
    renameKeys({ aB: [{ cD: 1 }, "eF"], date }, snakeName),
    { a_b: [{ c_d: 1 }, "eF"], date },
  );
});

Deno.test("the nearest name is one that could be meant", () => {
  const valid = ["bootstrap_servers", "group_id", "kind"];
  assert.equal(nearestName("bootstap_servers", valid), "bootstrap_servers");
  assert.equal(nearestName("groupId", valid), "group_id");
  assert.equal(nearestName("knid", valid), "kind");
  assert.equal(nearestName("password", valid), undefined);
  assert.equal(nearestName("x", []), undefined);
});
