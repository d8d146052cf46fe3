import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { pathToFileURL } from "node:url";
import { pack } from "../../scripts/compile/pack_libraries.ts";
import { FlowError } from "../core/error.ts";
import { type PackedLibrary, unpackLibraries } from "./packed_libraries.ts";

const PATH = "node_modules/engine/libengine.so";

/** Several pieces. */
const CONTENT = Uint8Array.from({ length: 9_000_003 }, (_, i) => (i * i) >> 7);

/** A program's folder that holds one library, compressed. */
interface Extracted {
  readonly root: URL;
  readonly folder: string;
  readonly target: string;
  readonly library: PackedLibrary;
}

async function withExtracted(
  work: (extracted: Extracted) => Promise<void>,
  content: Uint8Array = CONTENT,
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "flow libraries %41 " });
  try {
    const root = pathToFileURL(`${directory}/`);
    const target = `${directory}/${PATH}`;
    const folder = target.slice(0, target.lastIndexOf("/"));
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeFile(target, content);
    const library = { path: PATH, ...await pack(target, `${target}.zst`) };
    await Deno.remove(target);
    await work({ root, folder, target, library });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

async function assertUnpacked({ folder, target }: Extracted): Promise<void> {
  assert.deepEqual(await namesIn(folder), ["libengine.so", "libengine.so.zst"]);
  assert.ok(Buffer.from(await Deno.readFile(target)).equals(CONTENT));
}

/** What a call that must fail has thrown. */
async function refusal(unpacking: Promise<void>): Promise<FlowError> {
  const error = await unpacking.then(() => undefined, (thrown: unknown) => thrown);
  assert.ok(error instanceof FlowError, String(error));
  assert.equal(error.code, "library_not_unpacked");
  return error;
}

const noPause = () => Promise.resolve();

Deno.test("a packed library is unpacked once and can be run by everybody", async () => {
  await withExtracted(async (extracted) => {
    const { root, target, library } = extracted;
    await unpackLibraries(root, [library]);
    await assertUnpacked(extracted);
    const first = await Deno.stat(target);
    assert.equal((first.mode ?? 0) & 0o111, 0o111 & ~Deno.umask());
    await Deno.remove(`${target}.zst`);
    await unpackLibraries(root, [library]);
    assert.equal((await Deno.stat(target)).ino, first.ino);
  });
});

Deno.test("a program without packed libraries needs no permission", {
  permissions: "none",
}, async () => {
  await unpackLibraries(new URL("file:///nonexistent/"), []);
});

Deno.test("many may unpack at the same time", async () => {
  await withExtracted(async (extracted) => {
    const { root, library } = extracted;
    await Promise.all(Array.from({ length: 6 }, () => unpackLibraries(root, [library])));
    await assertUnpacked(extracted);
  });
});

Deno.test("what a killed process left is not taken for the library, and goes", async () => {
  await withExtracted(async (extracted) => {
    const { root, target, library } = extracted;
    await Deno.writeFile(`${target}.0123.part`, CONTENT.subarray(0, 5000));
    await unpackLibraries(root, [library]);
    await assertUnpacked(extracted);
  });
});

Deno.test("a library that a power cut has shortened is replaced", async () => {
  await withExtracted(async (extracted) => {
    const { root, target, library } = extracted;
    await Deno.writeFile(target, new Uint8Array());
    await unpackLibraries(root, [library]);
    await assertUnpacked(extracted);
  });
});

Deno.test("a compressed library that another process is about to write is waited for", async () => {
  await withExtracted(async (extracted) => {
    const { root, target, library } = extracted;
    const packed = await Deno.readFile(`${target}.zst`);
    await Deno.writeFile(`${target}.zst`, packed.subarray(0, packed.length / 2));
    await unpackLibraries(
      root,
      [library],
      async () => await Deno.writeFile(`${target}.zst`, packed),
    );
    await assertUnpacked(extracted);
  });
});

for (
  const { what, damage } of [
    { what: "cut off", damage: (packed: Uint8Array) => packed.subarray(0, packed.length - 1000) },
    { what: "altered", damage: (packed: Uint8Array) => packed.with(packed.length - 1000, 7) },
    { what: "empty", damage: () => new Uint8Array() },
  ]
) {
  Deno.test(`a compressed library that is ${what} is not unpacked`, async () => {
    await withExtracted(async ({ root, folder, target, library }) => {
      await Deno.writeFile(`${target}.zst`, damage(await Deno.readFile(`${target}.zst`)));
      await refusal(unpackLibraries(root, [library], noPause));
      assert.deepEqual(await namesIn(folder), ["libengine.so.zst"]);
    });
  });
}

Deno.test("a library that cannot be put in its place is an error that says where", async () => {
  await withExtracted(async ({ root, folder, target, library }) => {
    await Deno.mkdir(`${target}/in/the/way`, { recursive: true });
    const error = await refusal(unpackLibraries(root, [library], noPause));
    assert.match(error.message, /^cannot unpack the library libengine\.so below \/.*directory/);
    assert.match(error.hint ?? "", /make room for 10 MB/);
    assert.equal(error.domain, "external");
    assert.equal(error.details["file"], target);
    assert.deepEqual(await namesIn(folder), ["libengine.so", "libengine.so.zst"]);
  });
});

Deno.test("unpacking a large library takes little memory", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const bytes = 160_000_000;
  await withExtracted(async ({ root, target, library }) => {
    const module = `import { unpackLibraries } from ${
      JSON.stringify(new URL("packed_libraries.ts", import.meta.url))
    };
const peakMb = () => Number(/VmHWM:\\s+(\\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))[1]) / 1000;
const before = peakMb();
await unpackLibraries(new URL(${JSON.stringify(root)}), [${JSON.stringify(library)}]);
console.log(peakMb() - before);
`;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", `data:application/typescript,${encodeURIComponent(module)}`],
      stdin: "null",
    }).output();
    const [out, err] = [stdout, stderr].map((text) => new TextDecoder().decode(text));
    assert.equal((await Deno.stat(target)).size, bytes, err);
    assert.ok(Number(out) < 60, `${out} MB`);
  }, new Uint8Array(bytes));
});
