import assert from "node:assert/strict";
import { FileList, type FoundFile } from "./file_list.ts";
import { fileTest } from "./test_rig.ts";
import { TrackedFile } from "./tracked_file.ts";
import { TrackedFiles } from "./tracked_files.ts";

const HOUR = 3_600_000;

/** A file that counts how often it is asked for work. */
class CountedFile extends TrackedFile {
  asked = 0;

  override get hasWork(): boolean {
    this.asked += 1;
    return super.hasWork;
  }
}

function found(number: number, modifiedMs = 0): FoundFile {
  const path = `${String(number).padStart(6, "0")}.csv`;
  return { path, realPath: `/${path}`, size: 10, modifiedMs };
}

function tracked(count: number): { files: TrackedFiles; all: CountedFile[] } {
  const files = new TrackedFiles();
  const all = Array.from({ length: count }, (_f, at) => {
    const file = new CountedFile(found(at), "csv");
    file.seen(file.found, HOUR, 0, 1000);
    return file;
  });
  for (const file of all.toReversed()) files.add(file);
  return { files, all };
}

const DONE = { rows: 1, done: false };

Deno.test("TrackedFiles: reading many files asks each of them a few times only", () => {
  const { files, all } = tracked(20_000);
  const order: string[] = [];
  for (let file = files.first(); file !== undefined; file = files.first()) {
    order.push(file.path);
    file.advance(DONE, true);
  }
  assert.deepEqual(order, all.map(({ path }) => path));
  const asked = all.reduce((sum, file) => sum + file.asked, 0);
  assert.ok(asked <= 4 * all.length, `${asked} times`);
});

Deno.test("TrackedFiles: a file that is sought or comes new has its turn again", () => {
  const { files, all } = tracked(3);
  for (const file of all) file.advance(DONE, true);
  assert.equal(files.first(), undefined);
  files.moveTo([{ sourceId: "s", partition: all[1]?.path ?? "", position: "0" }]);
  assert.equal(files.first(), all[1]);
  files.moveTo([{ sourceId: "s", partition: all[0]?.path ?? "", position: "0" }]);
  assert.equal(files.first(), all[0]);
  files.keep(all.slice(1).map((file) => file.found), undefined);
  assert.equal(files.first(), all[1]);
  files.moveTo([{ sourceId: "s", partition: "unknown", position: "0" }]);
  assert.equal(files.size, 2);
});

Deno.test("TrackedFiles: of many files, settled ones are looked at now and then", () => {
  const { files, all } = tracked(2000);
  // The first hundred are not read yet, the last hundred were changed just now.
  for (const file of all.slice(100)) file.advance(DONE, true);
  for (const file of all.slice(1900)) file.seen({ ...file.found }, 1000, 1000, 100);
  const looks = new Map<string, number>();
  for (let look = 0; look < 20; look += 1) {
    const known = files.beginLook();
    const looked = all.filter(({ path }) => known(path) === undefined);
    assert.ok(looked.length < 500);
    for (const { path } of looked) looks.set(path, (looks.get(path) ?? 0) + 1);
  }
  const times = all.map(({ path }) => looks.get(path));
  assert.deepEqual(new Set(times.slice(0, 100)), new Set([20]));
  assert.deepEqual(new Set(times.slice(100, 1900)), new Set([2]));
  assert.deepEqual(new Set(times.slice(1900)), new Set([20]));
  assert.equal(files.beginLook()("unknown"), undefined);
});

Deno.test("TrackedFiles: few files are looked at every time", () => {
  const { files, all } = tracked(10);
  for (const file of all) file.advance(DONE, true);
  const known = files.beginLook();
  assert.ok(all.every(({ path }) => known(path) === undefined));
});

fileTest("a file that is known is not looked at, one that is gone is noticed", async (rig) => {
  await rig.put("in/a.csv", "1");
  await rig.put("in/b.csv", "22");
  const list = new FileList(rig.base, "in/*.csv", () => {});
  const nothing = () => undefined;
  const first = await list.look(nothing);
  assert.deepEqual(first.map(({ path, size }) => [path, size]), [["in/a.csv", 1], ["in/b.csv", 2]]);
  await rig.put("in/a.csv", "1111");
  await rig.put("in/b.csv", "2222");
  const [a, b] = await list.look((path) => path === "in/a.csv" ? first[0] : undefined);
  assert.equal(a, first[0]);
  assert.equal(b?.size, 4);
  await Deno.remove(`${rig.base}/in/a.csv`);
  const known = (path: string) => first.find((file) => file.path === path);
  assert.deepEqual((await list.look(known)).map(({ path }) => path), ["in/b.csv"]);
});
