/**
 * One module of the user's as JavaScript: types removed, every import found by a real parser (what is not found cannot be
 * refused), specifiers replaced, and the positions kept.
 */
import { type Node, parse } from "acorn";
import { FlowError } from "../core/error.ts";
import {
  decodeMappings,
  type LineEdit,
  originalPlace,
  type Place,
  showPlace,
  type SourceMap,
} from "./source_positions.ts";

/** An import of a module: where its specifier stands in the JavaScript, and what it says. */
export interface ImportReference {
  readonly start: number;
  readonly end: number;
  /** `undefined` for an `import()` whose argument is no plain text. */
  readonly specifier: string | undefined;
  /** The `type` of the import attributes (`json`), where there are some. */
  readonly type?: string;
  /** True for `import()`. */
  readonly dynamic: boolean;
}

/** A parsed module. Offsets are those of `code`. */
export interface ParsedModule {
  readonly file: string;
  readonly code: string;
  readonly mappings?: string;
  readonly imports: readonly ImportReference[];
  /** Where `import.meta` stands. */
  readonly metas: readonly { readonly start: number; readonly end: number }[];
  /** Imports of the TypeScript file that vanished because no code uses them. */
  readonly unused: readonly { readonly reference: ImportReference; readonly place: Place }[];
}

/** A replacement in the code. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * Parses a module. TypeScript (`.ts`, `.mts`) is transformed first: enums, namespaces and parameter properties become JavaScript,
 * types and imports that only types use vanish.
 *
 * @throws FlowError `module_invalid_syntax` with the place in the user's file.
 */
export async function parseModule(file: string, text: string): Promise<ParsedModule> {
  const typescript = /\.m?ts$/.test(file);
  if (!typescript) {
    const code = { file, code: text };
    return { ...code, ...analyse(code), unused: [] };
  }
  // As `deno run` does: an import that only types use vanishes, also without the word `type`.
  const code = await removeTypes(file, text, false);
  const found = analyse(code);
  const withUnused = await removeTypes(file, text, true);
  const used = new Set(found.imports.map(({ specifier }) => specifier));
  const unused = analyse(withUnused).imports
    .filter(({ specifier }) => !used.has(specifier))
    .map((reference) => ({ reference, place: placeOf(withUnused, reference.start) }));
  return { ...code, ...found, unused };
}

/** JavaScript, and what leads back to the user's file. */
interface Code {
  readonly file: string;
  readonly code: string;
  readonly mappings?: string;
}

function analyse(code: Code): Pick<ParsedModule, "imports" | "metas"> {
  const imports: ImportReference[] = [];
  const metas: { start: number; end: number }[] = [];
  walk(parseCode(code), (node) => {
    if (isMeta(node)) metas.push({ start: node.start, end: node.end });
    const reference = referenceOf(node);
    if (reference !== undefined) imports.push(reference);
  });
  return { imports, metas };
}

function parseCode(module: Code): Node {
  try {
    return parse(module.code, {
      ecmaVersion: "latest",
      sourceType: "module",
      allowHashBang: true,
    });
  } catch (error) {
    const at = error instanceof SyntaxError && "pos" in error ? Number(error.pos) : 0;
    const message = error instanceof Error ? error.message.replace(/ \(\d+:\d+\)$/, "") : "";
    throw invalidSyntax(placeOf(module, at), message);
  }
}

/** The types are removed by swc's parser in WebAssembly: four megabytes that only TypeScript needs. */
async function removeTypes(file: string, text: string, keepUnused: boolean): Promise<Code> {
  const { transformSync } = await import("amaro");
  try {
    const { code, map = "{}" } = transformSync(text, {
      mode: "transform",
      sourceMap: true,
      filename: file,
      deprecatedTsModuleAsError: true,
      transform: {
        verbatimModuleSyntax: keepUnused,
        importNotUsedAsValues: keepUnused ? "preserve" : "remove",
        nativeClassProperties: true,
        noEmptyExport: true,
      },
    });
    const { mappings } = JSON.parse(map) as { mappings?: string };
    return { file, code, mappings: mappings ?? "" };
  } catch (error) {
    if (!isSwcError(error)) throw error;
    const place = { file, line: error.startLine, column: error.startColumn + 1 };
    throw invalidSyntax(place, error.message);
  }
}

/** What amaro throws: a plain object. Lines count from 1, columns from 0. */
interface SwcError {
  readonly message: string;
  readonly startLine: number;
  readonly startColumn: number;
}

function isSwcError(error: unknown): error is SwcError {
  return typeof error === "object" && error !== null && "startLine" in error &&
    typeof error.startLine === "number";
}

function invalidSyntax(place: Place, message: string): FlowError {
  return new FlowError(`cannot read ${showPlace(place)}: ${message}`, {
    code: "module_invalid_syntax",
    domain: "user",
    details: { file: place.file, line: place.line, column: place.column },
  });
}

/** Calls `visit` with every node of the tree; the shapes of single nodes do not matter for that. */
function walk(root: Node, visit: (node: AnyNode) => void): void {
  const waiting: unknown[] = [root];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (Array.isArray(next)) waiting.push(...next.filter((item) => item !== null));
    else if (isNode(next)) {
      visit(next);
      for (const value of Object.values(next)) {
        if (typeof value === "object" && value !== null) waiting.push(value);
      }
    }
  }
}

/** A node of the syntax tree whose further properties are not known. */
interface AnyNode extends Node {
  readonly [property: string]: unknown;
}

function isNode(value: unknown): value is AnyNode {
  return typeof value === "object" && value !== null && "type" in value &&
    typeof value.type === "string" && "start" in value && "end" in value;
}

function isMeta(node: AnyNode): boolean {
  return node.type === "MetaProperty" && isNode(node["meta"]) && node["meta"]["name"] === "import";
}

function referenceOf(node: AnyNode): ImportReference | undefined {
  const dynamic = node.type === "ImportExpression";
  if (!dynamic && !/^(Import|ExportNamed|ExportAll)Declaration$/.test(node.type)) return undefined;
  const source = node["source"];
  if (!isNode(source)) return undefined;
  const specifier = typeof source["value"] === "string" ? source["value"] : undefined;
  const type = attributeType(node["attributes"]);
  return {
    start: source.start,
    end: source.end,
    specifier,
    dynamic,
    ...(type === undefined ? {} : { type }),
  };
}

function attributeType(attributes: unknown): string | undefined {
  for (const attribute of Array.isArray(attributes) ? attributes : []) {
    if (!isNode(attribute) || !isNode(attribute["key"]) || !isNode(attribute["value"])) continue;
    const name = attribute["key"]["name"] ?? attribute["key"]["value"];
    if (name === "type") return String(attribute["value"]["value"]);
  }
  return undefined;
}

/** The place in the user's file of an offset in the JavaScript. */
export function placeOf(module: Code, offset: number): Place {
  const before = module.code.slice(0, offset);
  const line = before.split("\n").length - 1;
  const column = offset - (before.lastIndexOf("\n") + 1);
  if (module.mappings === undefined) {
    return { file: module.file, line: line + 1, column: column + 1 };
  }
  const map: SourceMap = decodeMappings(module.mappings);
  const original = originalPlace(map, line, column);
  return { file: module.file, line: original.line + 1, column: original.column + 1 };
}

/** Applies edits, none of which overlap or add lines, and tells where they are afterwards. */
export function applyEdits(
  code: string,
  edits: readonly Edit[],
): { readonly code: string; readonly edits: readonly LineEdit[] } {
  const ordered = [...edits].sort((one, other) => one.start - other.start);
  const lineEdits: LineEdit[] = [];
  let out = "";
  let from = 0;
  let line = 0;
  for (const { start, end, text } of ordered) {
    const kept = code.slice(from, start);
    out += kept;
    line += kept.split("\n").length - 1;
    const column = out.length - (out.lastIndexOf("\n") + 1);
    // A replaced text that spans lines leaves its line ends behind, so that later lines keep their numbers.
    const breaks = "\n".repeat(code.slice(start, end).split("\n").length - 1);
    const firstLineEnd = code.slice(start, end).indexOf("\n");
    const oldLength = firstLineEnd === -1 ? end - start : firstLineEnd;
    lineEdits.push({ line, column, newLength: text.length, oldLength });
    out += text + breaks;
    line += breaks.length;
    from = end;
  }
  return { code: out + code.slice(from), edits: lineEdits };
}
