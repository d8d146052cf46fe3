import assert from "node:assert/strict";
import { mapColumns, nearestName } from "./column_map.ts";

const target = (name: string) => ({
  name,
  type: "BIGINT",
  nativeType: "bigint",
  nullable: true,
  hasDefault: false,
});
const column = (name: string) => ({ name, type: "BIGINT" });

function mapped(columns: string[], targets: string[]): string {
  const map = mapColumns(columns.map(column), targets.map(target));
  const names = (list: readonly { name: string }[]) => list.map((item) => item.name).join(",");
  const pairs = map.pairs.map((pair) => `${pair.column.name}>${pair.target.name}`).join(",");
  return `${pairs} unknown:${names(map.unknown)} absent:${names(map.absent)}`;
}

Deno.test("columns are paired exactly first, then by their only spelling without regard to case", () => {
  assert.equal(mapped(["b", "a"], ["a", "b", "c"]), "b>b,a>a unknown: absent:c");
  assert.equal(mapped(["Id"], ["id"]), "Id>id unknown: absent:");
  assert.equal(mapped(["ID", "id"], ["id"]), "id>id unknown:ID absent:");
  assert.equal(mapped(["ID"], ["id", "Id"]), " unknown:ID absent:id,Id");
  assert.equal(mapped(["ID", "iD"], ["id"]), " unknown:ID,iD absent:id");
});

Deno.test("the nearest name is near, or none", () => {
  assert.equal(nearestName("amuont", ["id", "amount"]), "amount");
  assert.equal(nearestName("CUSTOMER", ["customer"]), "customer");
  assert.equal(nearestName("amount", ["id", "name"]), undefined);
  assert.equal(nearestName("amount", []), undefined);
});
