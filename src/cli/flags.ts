import mri from "@std/cli";
import { nearestName } from "../config/key_names.ts";
import { FlowError } from "../core/error.ts";
import type { RunStatus } from "../core/run_log.ts";

/** Everything that `--format` can be; each command takes some of them. */
export type Format = "text" | "json" | "table" | "csv" | "arrow" | "parquet";

/** What `--format` can be where a command does not say otherwise. */
export const TEXT_OR_JSON: readonly Format[] = ["text", "json"];

/** The values of all flags that the command line can have; what was not given is undefined or false. */
export interface FlagValues {
  readonly module: string | undefined;
  readonly "metrics-port": number | undefined;
  readonly "restart-on-error": boolean;
  readonly "min-backoff-ms": number | undefined;
  readonly "max-backoff-ms": number | undefined;
  readonly "max-restarts": number | undefined;
  readonly "until-end": boolean;
  readonly profile: boolean;
  readonly "restate-from": string | undefined;
  readonly now: string | undefined;
  /** Seconds. */
  readonly interval: number | undefined;
  readonly "run-log": string | undefined;
  readonly "run-log-url": string | undefined;
  readonly "run-log-path": string | undefined;
  readonly "no-run-log": boolean;
  readonly pipeline: string | undefined;
  readonly status: RunStatus | undefined;
  readonly since: string | undefined;
  readonly limit: number | undefined;
  readonly tail: number | undefined;
  readonly connection: string | undefined;
  readonly file: string | undefined;
  /** `NAME=PATH`; may be given several times. */
  readonly register: readonly string[];
  /** One of the command's own; its first one unless given, see {@link requireTaken}. */
  readonly format: Format;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** False with `--no-color`. */
  readonly color: boolean;
  readonly help: boolean;
  readonly version: boolean;
}

/** A flag that a command may take. */
export type FlagName = keyof FlagValues;

/** A command line taken apart: flags, and all other words in their order. */
export interface ParsedArguments {
  readonly flags: FlagValues;
  /** The flags that were given, for commands that do not take all of them. */
  readonly given: ReadonlySet<FlagName>;
  readonly words: readonly string[];
}

/** Flags that every command takes. */
export const EVERYWHERE: readonly FlagName[] = [
  "format",
  "quiet",
  "verbose",
  "color",
  "help",
  "version",
];

interface TextFlag {
  /** What stands for the value in messages. */
  readonly takes: string;
  readonly least?: number;
  readonly most?: number;
  readonly choices?: readonly string[];
  readonly repeatable?: boolean;
}

const COUNT = { takes: "a whole number from 1", least: 1, most: Number.MAX_SAFE_INTEGER };
const RUN_LOG = { takes: "the URL or path of a run log" };

const TEXT_FLAGS = {
  module: { takes: "the path of a TypeScript module" },
  "metrics-port": { takes: "a port from 0 to 65535", least: 0, most: 65_535 },
  "min-backoff-ms": { takes: "whole milliseconds from 1", least: 1, most: 86_400_000 },
  "max-backoff-ms": { takes: "whole milliseconds from 1", least: 1, most: 86_400_000 },
  "max-restarts": { takes: "a whole number from 0", least: 0, most: Number.MAX_SAFE_INTEGER },
  "restate-from": { takes: "a date or time in ISO-8601" },
  now: { takes: "a time in ISO-8601" },
  interval: { takes: "whole seconds from 1", least: 1, most: 366 * 86_400 },
  "run-log": RUN_LOG,
  "run-log-url": RUN_LOG,
  "run-log-path": RUN_LOG,
  pipeline: { takes: "the name of a pipeline" },
  status: {
    takes: "running, success, failed or skipped",
    choices: ["running", "success", "failed", "skipped"],
  },
  since: { takes: "a time in ISO-8601, or an age such as 90m, 24h or 7d" },
  limit: COUNT,
  tail: COUNT,
  connection: { takes: "the name of a connection" },
  file: { takes: "the path of a file with SQL" },
  register: { takes: "NAME=PATH", repeatable: true },
  // Which values there are depends on the command; see requireTaken.
  format: { takes: "a format" },
} satisfies Partial<Record<FlagName, TextFlag>>;

const SWITCHES = {
  "restart-on-error": [],
  "until-end": [],
  profile: [],
  "no-run-log": [],
  quiet: ["q"],
  verbose: ["v"],
  color: [],
  help: ["h"],
  version: ["V"],
} as const satisfies Partial<Record<FlagName, readonly string[]>>;

/** Deno's permission flags, which are taken off before; here for suggestions only. */
const PERMISSION_FLAGS = ["read", "write", "net", "env", "sys", "run", "import"].flatMap((name) => [
  `--allow-${name}`,
  `--deny-${name}`,
]).concat("--sandbox");

/**
 * Takes a command line apart that holds no permission flags any more. Values are checked, names too; whether the command takes a flag is
 * checked by {@link requireTaken}.
 *
 * @throws FlowError `usage_invalid`.
 */
export function parseArguments(argv: readonly string[]): ParsedArguments {
  const texts = Object.keys(TEXT_FLAGS);
  argv = withNegativeValues(argv);
  // A switch whose name begins with `no-` would be taken for the contrary of another flag.
  const own = argv.includes("--") ? argv.indexOf("--") : argv.length;
  const noRunLog = argv.slice(0, own).includes("--no-run-log");
  argv = argv.filter((word, at) => at >= own || word !== "--no-run-log");
  const parsed = mri([...argv], {
    // Words too: an empty one would be taken for the number 0.
    string: [...texts, "_"],
    boolean: Object.keys(SWITCHES).filter((name) => name !== "no-run-log"),
    alias: {
      ...Object.fromEntries(texts.map((name) => [name, []])),
      ...Object.fromEntries(Object.entries(SWITCHES).map(([name, short]) => [name, [...short]])),
    },
    unknown: (flag) => {
      throw unknownFlag(argv.find((word) => word.startsWith(flag)) ?? flag);
    },
  });
  const given = new Set<FlagName>();
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries<TextFlag>(TEXT_FLAGS)) {
    if (parsed[name] === undefined) continue;
    given.add(name as FlagName);
    values[name] = textValue(name, flag, parsed[name]);
  }
  for (const name of Object.keys(SWITCHES)) {
    if (parsed[name] === undefined) continue;
    given.add(name as FlagName);
    // A switch that is given twice is an array; the last one counts.
    const value: unknown = [parsed[name]].flat().at(-1);
    if (value === false && name !== "color" && argv.includes(`--no-${name}`)) {
      throw unknownFlag(`--no-${name}`);
    }
    values[name] = value === true;
  }
  if (noRunLog) {
    given.add("no-run-log");
    values["no-run-log"] = true;
  }
  return {
    flags: { ...DEFAULTS, ...values } as FlagValues,
    given,
    words: parsed._.map(String),
  };
}

const DEFAULTS: FlagValues = {
  module: undefined,
  "metrics-port": undefined,
  "restart-on-error": false,
  "min-backoff-ms": undefined,
  "max-backoff-ms": undefined,
  "max-restarts": undefined,
  "until-end": false,
  profile: false,
  "restate-from": undefined,
  now: undefined,
  interval: undefined,
  "run-log": undefined,
  "run-log-url": undefined,
  "run-log-path": undefined,
  "no-run-log": false,
  pipeline: undefined,
  status: undefined,
  since: undefined,
  limit: undefined,
  tail: undefined,
  connection: undefined,
  file: undefined,
  register: [],
  format: "text",
  quiet: false,
  verbose: false,
  color: true,
  help: false,
  version: false,
};

/** What a command takes besides the flags of all commands. */
export interface TakenByCommand {
  readonly name: string;
  readonly flags: readonly FlagName[];
  /** Values of `--format`, the default first; {@link TEXT_OR_JSON} unless given. */
  readonly formats?: readonly Format[];
}

/**
 * Refuses flags and formats that the command does not take, and gives the flags with the command's own default format.
 *
 * @throws FlowError `usage_invalid`.
 */
export function requireTaken(
  { name: command, flags: taken, formats = TEXT_OR_JSON }: TakenByCommand,
  { flags, given }: ParsedArguments,
): FlagValues {
  for (const name of given) {
    if (taken.includes(name) || EVERYWHERE.includes(name)) continue;
    throw usageError(
      `'flow ${command}' takes no flag --${name}`,
      `its flags are shown by: flow ${command} --help`,
    );
  }
  if (!given.has("format")) return { ...flags, format: formats[0] ?? "text" };
  if (!formats.includes(flags.format)) {
    const takes = `${formats.slice(0, -1).join(", ")} or ${formats.at(-1)}`;
    throw refusedValue("format", { takes }, flags.format, nearestName(flags.format, formats));
  }
  return flags;
}

/** The error for a command line that is wrong; exit code 2. */
export function usageError(message: string, hint: string): FlowError {
  return new FlowError(message, { code: "usage_invalid", domain: "user", hint });
}

function textValue(
  name: string,
  flag: TextFlag,
  value: unknown,
): string | number | readonly string[] {
  if (flag.repeatable) {
    return [value].flat().map((item) => String(textValue(name, { takes: flag.takes }, item)));
  }
  if (Array.isArray(value)) {
    throw usageError(`--${name} is given ${value.length} times`, `give --${name} once`);
  }
  if (value === false) throw unknownFlag(`--no-${name}`);
  const text = String(value);
  if (text === "") {
    throw usageError(`--${name} needs a value`, `give ${flag.takes}: --${name}=VALUE`);
  }
  const refuse = (near?: string) => refusedValue(name, flag, text, near);
  if (flag.choices !== undefined && !flag.choices.includes(text)) {
    throw refuse(nearestName(text, flag.choices));
  }
  if (flag.least === undefined || flag.most === undefined) return text;
  const number = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(number >= flag.least && number <= flag.most)) throw refuse();
  return number;
}

/** The error for a value that a flag does not take. */
export function refusedValue(
  name: string,
  { takes }: { readonly takes: string },
  text: string,
  near?: string,
): FlowError {
  return usageError(
    `--${name} is '${text}', but takes ${takes}`,
    near === undefined ? `correct the value of --${name}` : `did you mean --${name} ${near}?`,
  );
}

/** `--max-restarts -1` as `--max-restarts=-1`: otherwise the number would be taken for a flag, and not complained about as a value. */
function withNegativeValues(argv: readonly string[]): string[] {
  const joined: string[] = [];
  for (const word of argv) {
    const before = joined.at(-1) ?? "";
    const isValue = /^-\d/.test(word) && before.slice(2) in TEXT_FLAGS && before.startsWith("--");
    if (isValue) joined[joined.length - 1] = `${before}=${word}`;
    else joined.push(word);
  }
  return joined;
}

function unknownFlag(word: string): FlowError {
  const flag = word.split("=")[0] ?? word;
  const known = [
    ...Object.keys(TEXT_FLAGS).map((name) => `--${name}`),
    ...Object.keys(SWITCHES).map((name) => name === "color" ? "--no-color" : `--${name}`),
    ...PERMISSION_FLAGS,
  ];
  const near = flag.length > 2 ? nearestName(flag, known) : undefined;
  return usageError(
    `unknown flag ${flag}`,
    near === undefined ? "the flags are shown by: flow help" : `did you mean ${near}?`,
  );
}
