import assert from "node:assert/strict";
import type { OffsetRange, StoredOffset } from "../core/offset.ts";
import { FileOffsetStore } from "./offset_store.ts";

function storeTest(
  name: string,
  run: (directory: string, path: string) => Promise<void>,
): void {
  Deno.test(`FileOffsetStore: ${name}`, async () => {
    const base = await Deno.makeTempDir({ prefix: "flow_test_" });
    try {
      await run(`${base}/offsets`, `${base}/offsets/p%2Fq.json`);
    } finally {
      await Deno.remove(base, { recursive: true });
    }
  });
}

function range(partition: string, to: string): OffsetRange {
  return { sourceId: "s", partition, from: null, to };
}

function positions(stored: readonly StoredOffset[]): Record<string, string> {
  return Object.fromEntries(stored.map(({ partition, position }) => [partition, position]));
}

async function loaded(directory: string): Promise<Record<string, string>> {
  return positions(await new FileOffsetStore(directory, "p/q").load());
}

storeTest("what was saved is there for the next process", async (directory) => {
  const store = new FileOffsetStore(directory, "p/q");
  assert.deepEqual(await store.load(), []);
  await store.save([range("a", "1"), range("b", "2;done")]);
  assert.deepEqual(await loaded(directory), { a: "1", b: "2;done" });
  await store.save([range("a", "5"), range("c\n", "1")]);
  const now = { a: "5", b: "2;done", "c\n": "1" };
  assert.deepEqual(await loaded(directory), now);
  assert.deepEqual(positions(await store.load()), now);
  const next = new FileOffsetStore(directory, "p/q");
  await next.load();
  await next.save([range("b", "9")]);
  assert.deepEqual(await loaded(directory), { ...now, b: "9" });
});

storeTest("a batch adds what it moved, and no more", async (directory, path) => {
  const store = new FileOffsetStore(directory, "p/q");
  await store.load();
  await store.save(Array.from({ length: 5000 }, (_p, at) => range(`file ${at}`, "1;done")));
  const { size } = await Deno.stat(path);
  for (let batch = 0; batch < 10; batch += 1) await store.save([range(`new ${batch}`, "1;done")]);
  const added = (await Deno.stat(path)).size - size;
  assert.ok(added < 10 * 100, `${added} bytes`);
  assert.equal(Object.keys(await loaded(directory)).length, 5010);
});

storeTest("the file does not grow for ever", async (directory, path) => {
  const store = new FileOffsetStore(directory, "p/q");
  await store.load();
  let largest = 0;
  for (let batch = 0; batch < 3000; batch += 1) {
    await store.save([range("a", String(batch)), range("b", String(batch))]);
    if (batch % 100 === 0) largest = Math.max(largest, (await Deno.stat(path)).size);
  }
  assert.ok(largest < 100_000, `${largest} bytes`);
  assert.deepEqual(await loaded(directory), { a: "2999", b: "2999" });
  assert.deepEqual((await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name), [
    "p%2Fq.json",
  ]);
});

storeTest(
  "wherever a crash cuts the last line, the lines before it count",
  async (directory, path) => {
    const store = new FileOffsetStore(directory, "p/q");
    await store.load();
    await store.save([range("a", "1")]);
    await store.save([range("a", "2"), range("b", "2")]);
    const before = (await Deno.stat(path)).size;
    await store.save([range("a", "3"), range("c", "ü")]);
    const bytes = await Deno.readFile(path);
    for (let cut = before; cut < bytes.length; cut += 1) {
      await Deno.writeFile(path, bytes.subarray(0, cut));
      const next = new FileOffsetStore(directory, "p/q");
      assert.deepEqual(positions(await next.load()), { a: "2", b: "2" }, `cut at ${cut}`);
      // What comes next is not joined to what was torn.
      await next.save([range("b", "4")]);
      await next.save([range("d", "5")]);
      assert.deepEqual(await loaded(directory), { a: "2", b: "4", d: "5" }, `cut at ${cut}`);
    }
  },
);

storeTest(
  "a file of one line without an end, as it was made before, is read",
  async (directory, path) => {
    await Deno.mkdir(directory);
    const offsets = [{ sourceId: "s", partition: "a", position: "7" }];
    await Deno.writeTextFile(path, JSON.stringify({ version: 1, offsets }));
    const store = new FileOffsetStore(directory, "p/q");
    assert.deepEqual(positions(await store.load()), { a: "7" });
    await store.save([range("b", "1")]);
    assert.deepEqual(await loaded(directory), { a: "7", b: "1" });
  },
);

storeTest("what is in no known format is refused, and stays", async (directory, path) => {
  await Deno.mkdir(directory);
  for (
    const text of [
      "",
      "x",
      '{"version":2,"offsets":[]}\n',
      '{"version":1,"offsets":[{"partition":"a"}]}\n',
      '{"version":1,"offsets":[]}\nnonsense\n[]\n',
      '{"version":1,"offsets":[]}\n{"a":1}\n',
    ]
  ) {
    await Deno.writeTextFile(path, text);
    await assert.rejects(loaded(directory), { code: "offset_store_invalid" }, text);
    assert.equal(await Deno.readTextFile(path), text);
  }
});
