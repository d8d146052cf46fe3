/** The binary unpacks the engine's library at its first start: copies of it that have never been started. */
import assert from "node:assert/strict";
import { basename, dirname } from "node:path";
import { flow, inDirectory, type Program, PROGRAMS } from "./flow_program.ts";
import { ordersToDuckdb } from "./pipelines.ts";

const BINARY = PROGRAMS.find(({ name }) => name === "binary");
const IS_ROOT = Deno.uid() === 0;
const NOBODY = 65534;

const RUN = ["consume", "p.toml", "--until-end"];
const FILES = {
  "one/p.toml": ordersToDuckdb("rows = 1"),
  "two/p.toml": ordersToDuckdb("rows = 1"),
};

/** A copy of the binary in a folder that holds nothing else, in a directory that everybody may enter. */
async function withCopy(
  work: (copy: Program, directory: string) => Promise<void>,
): Promise<void> {
  await inDirectory({}, async (directory) => {
    await Deno.chmod(directory, 0o755);
    for (const [path, text] of Object.entries(FILES)) {
      await Deno.mkdir(`${directory}/${dirname(path)}`);
      await Deno.writeTextFile(`${directory}/${path}`, text);
    }
    await Deno.mkdir(`${directory}/bin`);
    const copy = `${directory}/bin/flow`;
    await Deno.copyFile(BINARY?.command ?? "", copy);
    await work({ name: "binary", command: copy, prefix: [] }, directory);
  });
}

/** The same program as a user who may not write where it is: another one than root, who may write everywhere. */
function asStranger({ name, command }: Program): Program {
  if (!IS_ROOT) return { name, command, prefix: [] };
  const prefix = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", command];
  return { name, command: "setpriv", prefix };
}

/** All files below the folder whose names begin like the engine's library. */
async function libraryFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) found.push(...await libraryFiles(`${folder}/${name}`));
    else if (name.startsWith("libduckdb.")) found.push(`${folder}/${name}`);
  }
  return found.sort();
}

function assertOneLibrary(files: readonly string[]): string {
  const [library = "", packed] = files;
  assert.match(basename(library), /^libduckdb\.(so|dylib)$/);
  assert.deepEqual(files, [library, `${library}.zst`], packed);
  return library;
}

const test = BINARY === undefined ? Deno.test.ignore : Deno.test;

test("cli (binary): two first starts at the same time both work, and leave one library", async () => {
  await withCopy(async (copy, directory) => {
    const runs = ["one", "two"].map((cwd) => flow(copy, RUN, { cwd: `${directory}/${cwd}` }));
    for (const { code, stderr } of await Promise.all(runs)) assert.equal(code, 0, stderr);
    assertOneLibrary(await libraryFiles(`${directory}/bin/.flow`));
  });
});

test("cli (binary): where its folder may not be written, it unpacks below the home directory", async () => {
  await withCopy(async (copy, directory) => {
    await Deno.chmod(`${directory}/bin`, 0o555);
    const home = `${directory}/one`;
    if (IS_ROOT) await Deno.chown(home, NOBODY, NOBODY);
    const { code, stderr } = await flow(asStranger(copy), RUN, { cwd: home, env: { HOME: home } });
    assert.equal(code, 0, stderr);
    assertOneLibrary(await libraryFiles(`${home}/.local/share/flow`));
    await assert.rejects(Deno.stat(`${directory}/bin/.flow`), Deno.errors.NotFound);
    await Deno.chmod(`${directory}/bin`, 0o755);
  });
});

test("cli (binary): a library that cannot be unpacked is an error like any other", async () => {
  await withCopy(async (copy, directory) => {
    assert.equal((await flow(copy, ["--version"])).code, 0);
    const library = assertOneLibrary(await libraryFiles(`${directory}/bin/.flow`));
    await Deno.remove(library);
    await Deno.chmod(dirname(library), 0o555);
    const text = await flow(asStranger(copy), ["--version"]);
    assert.equal(text.code, 20, text.stderr);
    assert.equal(text.stdout, "");
    assert.match(text.stderr, /^error: cannot unpack the library libduckdb\.\w+ below .*\nhint: /);
    const json = await flow(asStranger(copy), ["--version", "--format", "json"]);
    assert.equal(JSON.parse(json.stderr).error.code, "library_not_unpacked");
    await Deno.chmod(dirname(library), 0o755);

    assert.equal((await flow(copy, ["--version"])).code, 0);
    assertOneLibrary(await libraryFiles(`${directory}/bin/.flow`));
  });
});
