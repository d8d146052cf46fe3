/**
 * Prints every code that a `FlowError` of flow can have, with the files it comes from: `deno run -A scripts/error_codes.ts`.
 * `tests/guide_test.ts` compares them with `docs/guide/errors.md`.
 */

const SRC = new URL("../src/", import.meta.url).pathname;

/** Codes that are put together, with what they can become. */
const COMPOSED: Readonly<Record<string, readonly string[]>> = {
  "row_${refusal.stage}_failed": ["row_decode_failed", "row_transform_failed", "row_write_failed"],
  "not_a_${role}": ["not_a_source", "not_a_target"],
};

/**
 * The codes, in alphabetical order, with the files below `src` that give them.
 *
 * @throws Error for a code that is put together in a way that is not known here.
 */
export async function errorCodes(): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, Set<string>>();
  for await (const file of sources("")) {
    for (const code of codesIn(await Deno.readTextFile(SRC + file), file)) {
      found.set(code, (found.get(code) ?? new Set()).add(file));
    }
  }
  return new Map(
    [...found].sort(([a], [b]) => a < b ? -1 : 1).map(([code, files]) => [code, [...files].sort()]),
  );
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(SRC + folder)) {
    const path = `${folder}${name}`;
    if (isDirectory) yield* sources(`${path}/`);
    else if (/(?<!_test|fake_\w+|test_\w+)\.ts$/.test(name)) yield path;
  }
}

function codesIn(text: string, file: string): string[] {
  const code = text.replace(/^\s*(\*|\/\/).*$/gm, "");
  return [...code.matchAll(/\bcode:\s*(`[^`]*`|[^;{},]*)/g)].flatMap(([, value = ""]) => {
    const template = /`([^`]*)`/.exec(value)?.[1];
    if (template === undefined) {
      return [...value.matchAll(/"([a-z]+(?:_[a-z]+)*)"/g)].map(([, name = ""]) => name);
    }
    const codes = COMPOSED[template];
    if (codes === undefined) throw new Error(`${file}: what can the code \`${template}\` become?`);
    return codes;
  });
}

if (import.meta.main) {
  for (const [code, files] of await errorCodes()) console.log(`${code}\t${files.join(" ")}`);
}
