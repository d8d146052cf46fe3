/**
 * The user's module and everything it imports, read from disk and made ready to run from a directory of flow's: the same in
 * `deno run` and in a compiled program, which strips no types from files on disk and has no hooks for loading modules.
 *
 * Reading happens on the host's side, before any of the user's code runs, with this rule: naming a module on the command line makes it
 * and the files below its directory readable for loading, and for nothing else; every other file needs `--allow-read`.
 * Symbolic links count where they lead.
 */
import { basename, dirname, extname, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describeError, FlowError } from "../core/error.ts";
import { denialError } from "./denial.ts";
import {
  applyEdits,
  type Edit,
  type ImportReference,
  type ParsedModule,
  parseModule,
  placeOf,
} from "./module_source.ts";
import { BEGIN_HOOK } from "./module_hook.ts";
import { isWithin } from "./permission_lists.ts";
import type { Grant } from "./permissions.ts";
import { type ModulePositions, type Place, showPlace } from "./source_positions.ts";

/** What a graph may hold: a pipeline with its shared files is far below. */
const MAX_MODULES = 1000;
const MAX_BYTES = 32 * 1024 * 1024;

/** Stands for `import.meta` in the code that runs, so that it is the user's own file's. */
const META = "__flowImportMeta";

/**
 * Modules of the runtime that users may import. Left out are those that run code from text, start threads or load modules (`vm`,
 * `worker_threads`, `module`, `process` …): a compiled program does not check what such code imports.
 */
const RUNTIME_MODULES: ReadonlySet<string> = new Set([
  "assert",
  "assert/strict",
  "buffer",
  "crypto",
  "dns",
  "dns/promises",
  "events",
  "fs",
  "fs/promises",
  "http",
  "https",
  "net",
  "os",
  "path",
  "path/posix",
  "path/win32",
  "perf_hooks",
  "querystring",
  "stream",
  "stream/promises",
  "string_decoder",
  "timers/promises",
  "tls",
  "url",
  "util",
  "util/types",
  "zlib",
]);

/** What loading needs to know. */
export interface GraphOptions {
  /** The `read` grant: which files outside of the module's directory may be imported. */
  readonly read: Grant;
  /** The URL of the module that users import as `flow`. */
  readonly flowUrl: string;
  /** Directory that the transformed modules are written into. */
  readonly directory: string;
}

/** The graph, written out. */
export interface ModuleGraph {
  /** URL of the user's module, as it runs. */
  readonly entryUrl: string;
  /** By the number that {@link BEGIN_HOOK} is called with. */
  readonly modules: readonly ModulePositions[];
}

/** A file of the graph. */
interface LoadedFile {
  readonly file: string;
  readonly url: string;
  readonly target: string;
  /** `undefined` for JSON. */
  readonly parsed: ParsedModule | undefined;
  readonly text: string;
}

/**
 * Reads the graph of `path`, transforms it and writes it into `options.directory`.
 *
 * @throws FlowError `module_not_found`, `module_invalid_syntax`, `module_import_refused` (npm, jsr, remote and other specifiers, and
 * `import()` of anything but a plain text), `permission_denied` for a file outside, `module_too_large`.
 */
export async function writeModuleGraph(path: string, options: GraphOptions): Promise<ModuleGraph> {
  const entry = resolve(path);
  const loader = new GraphLoader(entry, await directoryOf(entry, path), options);
  await loader.load();
  return await loader.write();
}

async function directoryOf(entry: string, named: string): Promise<string> {
  try {
    return await Deno.realPath(dirname(entry));
  } catch (error) {
    throw unreadable(entry, named, error);
  }
}

class GraphLoader {
  readonly #entry: string;
  /** The entry's directory, without symbolic links. */
  readonly #root: string;
  readonly #options: GraphOptions;
  /** In the order of loading; the first is the entry. */
  readonly #files = new Map<string, LoadedFile>();
  #bytes = 0;

  constructor(entry: string, root: string, options: GraphOptions) {
    this.#entry = entry;
    this.#root = root;
    this.#options = options;
  }

  async load(): Promise<void> {
    const waiting: { file: string; importer?: Place }[] = [{ file: this.#entry }];
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (this.#files.has(next.file)) continue;
      const loaded = await this.#read(next.file, next.importer);
      this.#files.set(next.file, loaded);
      // What nothing uses is not loaded, but is not let through in silence either.
      for (const { reference, place } of loaded.parsed?.unused ?? []) {
        resolveImport(reference, loaded.file, place);
      }
      for (const reference of loaded.parsed?.imports ?? []) {
        const place = placeOf(loaded.parsed as ParsedModule, reference.start);
        const target = resolveImport(reference, loaded.file, place);
        if (target.kind === "file") waiting.push({ file: target.file, importer: place });
      }
    }
  }

  async #read(file: string, importer: Place | undefined): Promise<LoadedFile> {
    const shown = importer === undefined ? file : `${file}, imported at ${showPlace(importer)}`;
    let text: string;
    try {
      const real = await Deno.realPath(file);
      if (file !== this.#entry) await this.#requireReadable(real, importer);
      text = await Deno.readTextFile(file);
    } catch (error) {
      if (error instanceof FlowError) throw error;
      throw await withSuggestion(file, unreadable(file, shown, error));
    }
    this.#bytes += text.length;
    if (this.#files.size >= MAX_MODULES || this.#bytes > MAX_BYTES) {
      throw new FlowError(`the module imports more than ${MAX_MODULES} files or 32 MB`, {
        code: "module_too_large",
        domain: "user",
        hint: "load data with Deno.readTextFile instead of importing it",
      });
    }
    const number = this.#files.size;
    const json = extname(file) === ".json";
    if (json) requireJson(file, text);
    const target = `${this.#options.directory}/${number}_${targetName(file, json)}`;
    const parsed = json ? undefined : await parseModule(file, text);
    return { file, url: pathToFileURL(target).href, target, parsed, text };
  }

  async #requireReadable(real: string, importer: Place | undefined): Promise<void> {
    const { read } = this.#options;
    if (isWithin(real, this.#root) || read === true || read === "inherit") return;
    for (const granted of read === false ? [] : read) {
      if (isWithin(real, granted) || isWithin(real, await realPathOr(granted))) return;
    }
    const place = importer === undefined ? undefined : showPlace(importer);
    throw denialError({ kind: "read", target: real }, "module", place);
  }

  async write(): Promise<ModuleGraph> {
    const modules: ModulePositions[] = [];
    for (const [number, loaded] of [...this.#files.values()].entries()) {
      const { parsed, file, url, target, text } = loaded;
      if (parsed === undefined) {
        modules.push({ url, file, edits: [] });
        await Deno.writeTextFile(target, text);
        continue;
      }
      const { code, edits } = applyEdits(parsed.code, this.#editsOf(parsed, number));
      await Deno.writeTextFile(target, code);
      modules.push({
        url,
        file,
        edits,
        ...(parsed.mappings === undefined ? {} : { mappings: parsed.mappings }),
      });
    }
    const [entry] = modules;
    if (entry === undefined) throw new TypeError("an empty module graph was written");
    return { entryUrl: entry.url, modules };
  }

  #editsOf(parsed: ParsedModule, number: number): Edit[] {
    const edits: Edit[] = [{ start: 0, end: 0, text: prelude(parsed, number) }];
    // A comment from here on: the prelude stands before it.
    if (parsed.code.startsWith("#!")) edits.push({ start: 0, end: 2, text: "//" });
    for (const { start, end } of parsed.metas) edits.push({ start, end, text: `${META}()` });
    for (const reference of parsed.imports) {
      const place = placeOf(parsed, reference.start);
      const target = resolveImport(reference, parsed.file, place);
      const url = target.kind === "flow"
        ? this.#options.flowUrl
        : target.kind === "runtime"
        ? target.specifier
        : this.#files.get(target.file)?.url;
      if (url === undefined) throw new TypeError(`${parsed.file} imports what was not loaded`);
      edits.push({ start: reference.start, end: reference.end, text: JSON.stringify(url) });
    }
    return edits;
  }
}

/** Stands on the first line of every module; imports are evaluated before it. */
function prelude(parsed: ParsedModule, number: number): string {
  const begin = `globalThis.${BEGIN_HOOK}?.(${number});`;
  if (parsed.metas.length === 0) return begin;
  const meta = {
    url: pathToFileURL(parsed.file).href,
    filename: parsed.file,
    dirname: dirname(parsed.file),
    main: false,
  };
  // A function, because in an import cycle code of this module may run before this line.
  return `${begin}function ${META}(){return ${META}.meta??={...${JSON.stringify(meta)},` +
    `resolve(specifier){return new URL(specifier,this.url).href}}}`;
}

type ResolvedImport =
  | { readonly kind: "flow" }
  | { readonly kind: "runtime"; readonly specifier: string }
  | { readonly kind: "file"; readonly file: string };

function resolveImport(reference: ImportReference, importer: string, place: Place): ResolvedImport {
  const { specifier, type } = reference;
  if (specifier === undefined) {
    throw refused(
      place,
      "by a computed import()",
      "give import() a plain text, so that it is known beforehand what the module loads",
    );
  }
  if (specifier === "flow") return { kind: "flow" };
  if (specifier.startsWith("node:")) {
    if (RUNTIME_MODULES.has(specifier.slice(5))) return { kind: "runtime", specifier };
    throw refused(
      place,
      `'${specifier}'`,
      "pipeline modules do not have this module of the runtime",
    );
  }
  const file = fileOf(specifier, importer);
  if (file === undefined) {
    throw refused(
      place,
      `'${specifier}'`,
      "a pipeline module imports 'flow', node: modules and files by relative path; " +
        "put the code that is needed into a file beside it",
    );
  }
  const extension = extname(file);
  if (!/^\.(m?ts|m?js|json)$/.test(extension)) {
    throw refused(
      place,
      `'${specifier}'`,
      "files with the endings .ts, .mts, .js, .mjs and .json can be imported; write the ending out",
    );
  }
  const wanted = extension === ".json" ? "json" : undefined;
  if (type !== wanted && !(reference.dynamic && type === undefined)) {
    throw refused(
      place,
      `'${specifier}'`,
      wanted === undefined
        ? `leave with { type: "${type}" } out`
        : `write import … from "${specifier}" with { type: "json" }`,
    );
  }
  return { kind: "file", file };
}

function fileOf(specifier: string, importer: string): string | undefined {
  if (!/^(\.\.?\/|\/|file:)/.test(specifier)) return undefined;
  try {
    return fileURLToPath(new URL(specifier, pathToFileURL(importer)));
  } catch {
    return undefined;
  }
}

function refused(place: Place, what: string, hint: string): FlowError {
  return new FlowError(`${showPlace(place)}: cannot import ${what} in a pipeline module`, {
    code: "module_import_refused",
    domain: "user",
    hint,
    details: { file: place.file, line: place.line, column: place.column, specifier: what },
  });
}

function unreadable(file: string, shown: string, error: unknown): FlowError {
  if (error instanceof Deno.errors.NotCapable) {
    return denialError({ kind: "read", target: file }, "engine");
  }
  const missing = error instanceof Deno.errors.NotFound;
  return new FlowError(
    missing
      ? `there is no module ${shown}`
      : `cannot read the module ${shown}: ${describeError(error)}`,
    {
      code: missing ? "module_not_found" : "module_unreadable",
      domain: "user",
      details: { file },
      cause: error,
    },
  );
}

/** `./orders.js` where only `./orders.ts` is there, which other tools resolve. */
async function withSuggestion(file: string, error: FlowError): Promise<FlowError> {
  if (error.code !== "module_not_found") return error;
  const stem = file.slice(0, file.length - extname(file).length);
  for (const candidate of [`${stem}.ts`, `${stem}.mts`, `${stem}.js`, `${stem}.mjs`]) {
    if (candidate === file || await realPathOr(candidate, "") === "") continue;
    return new FlowError(error.message, {
      code: error.code,
      domain: "user",
      hint: `there is ${basename(candidate)}: write the ending as the file has it`,
      details: error.details,
    });
  }
  return error;
}

async function realPathOr(path: string, otherwise = path): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch {
    return otherwise;
  }
}

function requireJson(file: string, text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new FlowError(`${file} is no JSON: ${describeError(error)}`, {
      code: "module_invalid_syntax",
      domain: "user",
      details: { file },
    });
  }
}

/** Keeps the name readable in messages of the runtime. */
function targetName(file: string, json: boolean): string {
  const name = basename(file, extname(file)).replaceAll(/[^A-Za-z0-9_-]/g, "_");
  return name + (json ? ".json" : ".mjs");
}
