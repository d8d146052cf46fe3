import type { RawDefinition } from "../core/request.ts";
import type { ConfigHost } from "./host.ts";
import { missingFlag } from "./host.ts";
import { isReference } from "./interpolate.ts";
import { isRecord, nearestName } from "./key_names.ts";
import { type KeyPath, originText, type Place, ProblemList, wholePlace } from "./problem.ts";
import { parseToml, type TomlDocument } from "./toml_document.ts";
import { addUnknownKey } from "./validate.ts";

/** A connection as it is configured, before its options are validated and `${VAR}` is filled in. */
export interface FoundConnection {
  /** Its name; `undefined` for a typed connection without one. */
  readonly name: string | undefined;
  /** Where it was found: the name of an environment variable, a file, `module`. */
  readonly from: string;
  /** `kind` and options, in TOML's spelling. */
  readonly value: Readonly<Record<string, unknown>>;
  readonly place: Place;
  /** Path of `value` within the place. */
  readonly path: KeyPath;
}

const ENV_PREFIX = "EMATIX_FLOW_DSN";

/** The environment variable of a connection's name: `EMATIX_FLOW_DSN_RAW_DB` for `raw-db`. */
export function connectionEnvName(name: string): string {
  return `${ENV_PREFIX}_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}`;
}

interface ConnectionFile {
  readonly path: string;
  readonly shown: string;
}

/**
 * Finds connections by name: environment variable, `EMATIX_FLOW_DSN` for `default`, `./.ematix-flow.toml`,
 * `~/.ematix-flow/connections.toml`, then what the pipeline file or modules registered. The first that has the name wins as a whole; nothing is merged.
 * So an operator can override by the environment or a file what a module registers. A typed connection that a
 * pipeline holds as an object is not looked up by name at all.
 *
 * Places that flow is not permitted to look at are passed over, and named when nothing is found.
 */
export class ConnectionChain {
  readonly #host: ConfigHost;
  readonly #registered: readonly RawDefinition[];
  readonly #inFile: readonly FoundConnection[];
  readonly #files = new Map<string, Promise<TomlDocument | undefined>>();
  readonly #notices: string[] = [];
  /** Names of connections that {@link #noteBeaten} has told of. */
  readonly #told = new Set<string>();

  /** `inFile` are the connections of the pipeline file itself. */
  constructor(
    host: ConfigHost,
    registered: readonly RawDefinition[],
    inFile: readonly FoundConnection[] = [],
  ) {
    this.#host = host;
    this.#registered = registered;
    this.#inFile = inFile;
  }

  /** What is worth telling about the configuration, such as a file with passwords that everybody may read. */
  get notices(): readonly string[] {
    return this.#notices;
  }

  /** The connection of that name, `undefined` when there is none. Throws `definition_invalid` for a broken file. */
  async find(name: string): Promise<FoundConnection | undefined> {
    for (const variable of envNamesOf(name)) {
      const found = this.#fromEnv(name, variable);
      if (found !== undefined) return found;
    }
    for (const file of this.#connectionFiles()) {
      const found = (await this.#fromFile(file)).get(name);
      if (found === undefined) continue;
      this.#noteBeaten(name, found);
      return found;
    }
    return this.#inFile.find((connection) => connection.name === name) ?? this.#fromModule(name);
  }

  /**
   * Tells of a connection of the pipeline file or module that a file of connections stands before: whoever edits the one would wonder why nothing changes. A
   * variable of the environment is set on purpose, and is not told of.
   */
  #noteBeaten(name: string, found: FoundConnection): void {
    if (this.#told.has(name)) return;
    const registered = this.#registered.find((definition) => definition.name === name);
    const beaten = this.#inFile.find((connection) => connection.name === name) ??
      (registered && registeredConnection(registered));
    if (beaten === undefined || JSON.stringify(beaten.value) === JSON.stringify(found.value)) {
      return;
    }
    this.#told.add(name);
    const [used, other] = [found, beaten].map(({ place, path }) => originText(place.locate(path)));
    this.#notices.push(
      `connection '${name}' is taken from ${used}, which goes before the one of this name at ${other}`,
    );
  }

  /** Every connection that can be seen, the winners only, by name. Variables of the environment are not filled in. */
  async all(): Promise<readonly FoundConnection[]> {
    const found = new Map<string, FoundConnection>();
    /** One variable goes before all names that it stands for. */
    const variables = new Set<string>();
    const add = (name: string, connection: FoundConnection | undefined) => {
      if (connection === undefined || found.has(name)) return;
      if (!variables.has(connectionEnvName(name))) found.set(name, connection);
    };
    for (const variable of this.#envNames()) {
      const name = variable === ENV_PREFIX
        ? "default"
        : variable.slice(ENV_PREFIX.length + 1).toLowerCase();
      const connection = this.#fromEnv(name, variable);
      add(name, connection);
      if (connection !== undefined) variables.add(variable);
    }
    for (const file of this.#connectionFiles()) {
      for (const [name, connection] of await this.#fromFile(file)) add(name, connection);
    }
    for (const connection of this.#inFile) add(connection.name ?? "", connection);
    // Two that share a name are an error for who uses the name, not for who lists.
    for (const definition of this.#registered) {
      add(definition.name, registeredConnection(definition));
    }
    return [...found.values()].toSorted((a, b) => (a.name ?? "").localeCompare(b.name ?? ""));
  }

  /** The message and hint for a name that nothing is configured for. */
  async notFound(name: string): Promise<{ readonly message: string; readonly hint: string }> {
    // A URL in the place of a name may hold a password, which the names derived from it would show.
    if (name.includes("://")) {
      return {
        message: "expected the name of a connection, got a URL",
        hint: "give the URL as url, or configure a connection and give its name",
      };
    }
    const looked = [
      ...envNamesOf(name).map((variable) => `env var ${variable}`),
      ...this.#connectionFiles().map((file) => file.shown),
      ...this.#inFile.slice(0, 1).map(({ from }) => `[connections] of ${from}`),
      "connections registered by modules",
    ];
    const flags = await this.#missingFlags(name);
    const names = (await this.all()).flatMap((known) => known.name ?? []);
    const near = nearestName(name, names);
    const hints = [
      ...(near === undefined ? [] : [`did you mean ${near}?`]),
      ...(near === undefined && names.length > 0 ? [`configured: ${names.join(", ")}`] : []),
      ...(flags.length === 0
        ? []
        : [`some places may not be read: start flow with ${flags.join(" ")}`]),
    ];
    return {
      message: `connection '${name}' is not configured. Looked for ${looked.join(", ")}`,
      hint: hints.length > 0
        ? hints.join("; ")
        : `set ${connectionEnvName(name)}, or add [connections.${name}] to ./.ematix-flow.toml`,
    };
  }

  #fromEnv(name: string, variable: string): FoundConnection | undefined {
    const url = allowed(() => this.#host.env(variable));
    if (url === undefined || url === "") return undefined;
    const place = wholePlace({ file: `environment variable ${variable}` }, "toml");
    // The variable holds the URL itself: a `${` in it is meant literally.
    return {
      name,
      from: variable,
      value: { url: url.replaceAll("${", () => "$${") },
      place,
      path: [],
    };
  }

  #envNames(): readonly string[] {
    const names = allowed(() => this.#host.envNames()) ?? [];
    return names.filter((name) => name === ENV_PREFIX || name.startsWith(`${ENV_PREFIX}_`))
      .toSorted((a, b) => b.length - a.length);
  }

  #connectionFiles(): readonly ConnectionFile[] {
    const home = this.#host.home();
    return [
      { path: `${this.#host.cwd}/.ematix-flow.toml`, shown: "./.ematix-flow.toml" },
      ...(home === undefined ? [] : [{
        path: `${home}/.ematix-flow/connections.toml`,
        shown: "~/.ematix-flow/connections.toml",
      }]),
    ];
  }

  async #fromFile(file: ConnectionFile): Promise<ReadonlyMap<string, FoundConnection>> {
    const found = new Map<string, FoundConnection>();
    const document = await this.#document(file);
    const connections = document?.value["connections"];
    if (document === undefined || !isRecord(connections)) return found;
    for (const [name, value] of Object.entries(connections)) {
      if (!isRecord(value)) continue;
      const path = ["connections", name];
      found.set(name, { name, from: file.shown, value, place: document.place, path });
    }
    return found;
  }

  #document(file: ConnectionFile): Promise<TomlDocument | undefined> {
    let document = this.#files.get(file.path);
    if (document === undefined) {
      document = this.#readDocument(file);
      this.#files.set(file.path, document);
    }
    return document;
  }

  async #readDocument(file: ConnectionFile): Promise<TomlDocument | undefined> {
    let text: string | undefined;
    try {
      text = await this.#host.readFile(file.path);
    } catch (error) {
      if (missingFlag(error) === undefined) throw error;
    }
    if (text === undefined) return undefined;
    const document = parseToml(text, file.shown);
    checkFile(document);
    if (hasLiteralSecret(document.value) && await this.#host.readableByOthers(file.path)) {
      this.#notices.push(
        `${file.shown} holds passwords and may be read by other users: chmod 600 it, or use \${VAR}`,
      );
    }
    return document;
  }

  #fromModule(name: string): FoundConnection | undefined {
    const [first, ...others] = this.#registered.filter((definition) => definition.name === name);
    if (first === undefined) return undefined;
    const other = others.find((next) => JSON.stringify(next.value) !== JSON.stringify(first.value));
    if (other !== undefined) {
      const problems = new ProblemList();
      problems.add(
        wholePlace(other.origin, "module"),
        [],
        `a connection named '${name}' is defined twice, differently; the first is at ` +
          originText(first.origin),
        "give each connection a name of its own",
      );
      problems.throwIfAny();
    }
    return registeredConnection(first);
  }

  async #missingFlags(name: string): Promise<readonly string[]> {
    const flags = new Set<string>();
    const note = (error: unknown) => {
      const flag = missingFlag(error);
      if (flag !== undefined) flags.add(flag);
    };
    for (const variable of envNamesOf(name)) {
      try {
        this.#host.env(variable);
      } catch (error) {
        note(error);
      }
    }
    for (const file of this.#connectionFiles()) {
      await this.#host.readFile(file.path).catch(note);
    }
    return [...flags];
  }
}

function registeredConnection({ name, value, origin }: RawDefinition): FoundConnection {
  return { name, from: "module", value, place: wholePlace(origin, "module"), path: [] };
}

function envNamesOf(name: string): readonly string[] {
  return [connectionEnvName(name), ...(name === "default" ? [ENV_PREFIX] : [])];
}

/** The value, or `undefined` where it may not be read. */
function allowed<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (missingFlag(error) === undefined) throw error;
    return undefined;
  }
}

/** A file of connections has `[connections.NAME]` tables and nothing else. */
function checkFile({ value, place }: TomlDocument): void {
  const problems = new ProblemList();
  for (const key of Object.keys(value)) {
    if (key !== "connections") addUnknownKey(problems, place, [key], ["connections"]);
  }
  checkConnections(problems, place, value["connections"] ?? {});
  problems.throwIfAny();
}

/** Adds a problem where `connections` are no `[connections.NAME]` tables. */
export function checkConnections(
  problems: ProblemList,
  place: Place,
  connections: unknown,
): void {
  if (!isRecord(connections)) {
    problems.add(place, ["connections"], "expected tables such as [connections.warehouse]");
    return;
  }
  for (const [name, connection] of Object.entries(connections)) {
    if (isRecord(connection)) continue;
    const path = ["connections", name];
    problems.add(place, path, "expected a table with kind and url, or the kind's own options");
  }
}

function hasLiteralSecret(value: unknown, key = ""): boolean {
  if (typeof value === "string") {
    if (isReference(value)) return false;
    return /pass|secret|token/i.test(key) || /:\/\/[^/@]*:(?!\$\{)[^/@]+@/.test(value);
  }
  if (!isRecord(value)) return false;
  return Object.entries(value).some(([name, item]) => hasLiteralSecret(item, name));
}
