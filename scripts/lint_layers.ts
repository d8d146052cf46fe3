/**
 * A plugin for `deno lint`: who may import whom. It looks at every module of `src` that is no test, and at every way
 * to name another module: import, `import type`, re-export, `import("…")` as an expression and as a type.
 * What a layer may import is written down in `LAYERS`, and nowhere else.
 */

/** What the modules of one layer may import, besides one another. */
interface Layer {
  /** Layers, or everything. */
  readonly layers: readonly string[] | "all";
  /** npm packages and `node:` modules; any when missing, except those that `OWNED` gives to one layer. */
  readonly packages?: readonly string[];
}

const EVERYTHING: Layer = { layers: "all" };
const ON_CORE: Layer = { layers: ["core"] };
const ENGINE: Layer = { layers: ["core", "sql", "config"] };
const CONNECTOR: Layer = { layers: ["core", "formats", "sql", "connectors/_sql"] };

/** Folders and files directly under `src`; each folder of `connectors` is a layer of its own. */
const LAYERS: Readonly<Record<string, Layer>> = {
  core: { layers: [], packages: ["valibot"] },
  sql: ON_CORE,
  formats: ON_CORE,
  config: ON_CORE,
  ops: ON_CORE,
  sandbox: ON_CORE,
  batch: ENGINE,
  stream: { layers: ["core", "sql", "formats", "config", "plan"] },
  plan: ENGINE,
  "connectors/mod.ts": { layers: ["core", "connectors/*"] },
  "connectors/*": CONNECTOR,
  "app.ts": EVERYTHING,
  "app_batch.ts": EVERYTHING,
  "app_export.ts": EVERYTHING,
  "app_files.ts": EVERYTHING,
  "app_session.ts": EVERYTHING,
  "app_sql.ts": EVERYTHING,
  "app_worker.ts": EVERYTHING,
  "user_worker.ts": { layers: ["core", "config", "sandbox", "mod.ts"] },
  cli: EVERYTHING,
  "mod.ts": { layers: ["core", "config", "sandbox", "app.ts", "session.ts"] },
  "session.ts": { layers: ["core", "config", "app_session.ts"] },
};

/** Packages that one layer alone imports. */
const OWNED: Readonly<Record<string, string>> = {
  "@duckdb/node-api": "sql",
};

const SRC = new URL("../src/", import.meta.url).pathname;

const plugin: Deno.lint.Plugin = {
  name: "flow",
  rules: {
    layers: {
      create(context): Deno.lint.LintVisitor {
        const path = context.filename.startsWith(SRC)
          ? context.filename.slice(SRC.length)
          : undefined;
        if (path === undefined || path.endsWith("_test.ts")) return {};
        const check = (node: Deno.lint.Node, specifier: unknown) => {
          if (typeof specifier !== "string") return;
          const complaint = complaintAbout(path, specifier);
          if (complaint !== undefined) context.report({ node, ...complaint });
        };
        return {
          ImportDeclaration: (node) => check(node, node.source.value),
          ExportNamedDeclaration: (node) => check(node, node.source?.value),
          ExportAllDeclaration: (node) => check(node, node.source.value),
          ImportExpression: (node) =>
            check(node, node.source.type === "Literal" ? node.source.value : undefined),
          TSImportType: (node) =>
            check(
              node,
              node.argument.type === "TSLiteralType" ? literalOf(node.argument) : undefined,
            ),
        };
      },
    },
  },
};

export default plugin;

function literalOf(type: Deno.lint.TSLiteralType): unknown {
  return type.literal.type === "Literal" ? type.literal.value : undefined;
}

interface Complaint {
  readonly message: string;
  readonly hint: string;
}

/** What is wrong with a module at `path` (from `src`) importing `specifier`, if anything is. */
function complaintAbout(path: string, specifier: string): Complaint | undefined {
  const from = layerOf(path);
  const rule = ruleOf(from);
  if (rule === undefined) {
    return {
      message: `src/${path} belongs to no layer`,
      hint: "Give it one in scripts/lint_layers.ts.",
    };
  }
  if (specifier === "flow") {
    return {
      message: 'only users\' modules import "flow"',
      hint: "Import the module that has it.",
    };
  }
  if (!specifier.startsWith(".")) return complaintAboutPackage(from, rule, packageOf(specifier));
  const target = new URL(specifier, `file://${SRC}${path}`).pathname;
  if (!target.startsWith(SRC)) {
    return {
      message: `${from} imports ${specifier}, which is outside of src`,
      hint: "Move it into src.",
    };
  }
  const to = layerOf(target.slice(SRC.length));
  if (to === from || rule.layers === "all" || rule.layers.some((allowed) => covers(allowed, to))) {
    return undefined;
  }
  const may = rule.layers.length === 0 ? "nothing" : rule.layers.join(", ");
  return {
    message: `${from} must not import ${to} (${specifier})`,
    hint:
      `${from} may import: ${may}. What both need belongs into core, or is handed in by src/app.ts.`,
  };
}

function complaintAboutPackage(from: string, rule: Layer, name: string): Complaint | undefined {
  const owner = OWNED[name];
  if (owner !== undefined && owner !== from) {
    return {
      message: `${from} must not import ${name}`,
      hint: `Only ${owner} does; use what it offers.`,
    };
  }
  if (rule.packages === undefined || rule.packages.includes(name)) return undefined;
  return {
    message: `${from} must not import ${name}`,
    hint: `Packages that ${from} may import: ${rule.packages.join(", ")}.`,
  };
}

/** `npm:@scope/name@1.2.3/part` and `@scope/name/part` are both `@scope/name`; `node:fs` stays. */
function packageOf(specifier: string): string {
  return specifier.replace(/^npm:\/?/, "").match(/^(?:@[^/]+\/)?[^/@]+/)?.[0] ?? specifier;
}

function layerOf(path: string): string {
  const [first = "", second = ""] = path.split("/");
  return first === "connectors" ? `${first}/${second}` : first;
}

function ruleOf(layer: string): Layer | undefined {
  const own = LAYERS[layer];
  if (own !== undefined || !layer.startsWith("connectors/") || layer.endsWith(".ts")) return own;
  return LAYERS["connectors/*"];
}

function covers(allowed: string, layer: string): boolean {
  return allowed === layer || (allowed === "connectors/*" && layer.startsWith("connectors/"));
}
