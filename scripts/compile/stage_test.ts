import assert from "node:assert/strict";
import { placePackages } from "./stage.ts";

function graph(dependencies: Readonly<Record<string, readonly string[]>>) {
  return new Map(
    Object.entries(dependencies).map(([id, needed]) => [id, {
      name: id.slice(0, id.lastIndexOf("@")),
      dependencies: needed,
      localPath: `/installed/${id}`,
    }]),
  );
}

Deno.test("packages are placed side by side, also those that need one another", () => {
  const known = graph({ "pg@8": ["@x/pool@3", "gone@1"], "@x/pool@3": ["pg@8"] });
  assert.deepEqual([...placePackages(["pg@8"], known)], [
    ["node_modules/pg", "/installed/pg@8"],
    ["node_modules/@x/pool", "/installed/@x/pool@3"],
  ]);
});

Deno.test("what is needed in another version is placed in the package that needs it", () => {
  const known = graph({
    "a@1": ["b@2", "c@1"],
    "b@1": [],
    "b@2": ["c@2"],
    "c@1": ["b@2"],
    "c@2": [],
  });
  assert.deepEqual(Object.fromEntries(placePackages(["a@1", "b@1"], known)), {
    "node_modules/a": "/installed/a@1",
    "node_modules/b": "/installed/b@1",
    "node_modules/a/node_modules/b": "/installed/b@2",
    "node_modules/c": "/installed/c@1",
    "node_modules/a/node_modules/b/node_modules/c": "/installed/c@2",
    "node_modules/c/node_modules/b": "/installed/b@2",
    "node_modules/c/node_modules/b/node_modules/c": "/installed/c@2",
  });
});

Deno.test("the project cannot import two versions under one name", () => {
  const known = graph({ "a@1": [], "a@2": [] });
  assert.throws(() => placePackages(["a@1", "a@2"], known), /a is imported in two versions/);
});
