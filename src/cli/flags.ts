import mri from "@std/cli";
import { nearestName } from "../config/key_names.ts";
import { FlowError } from "../core/error.ts";

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
  readonly format: "text" | "json";
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
}

const TEXT_FLAGS = {
  module: { takes: "the path of a TypeScript module" },
  "metrics-port": { takes: "a port from 0 to 65535", least: 0, most: 65_535 },
  "min-backoff-ms": { takes: "whole milliseconds from 1", least: 1, most: 86_400_000 },
  "max-backoff-ms": { takes: "whole milliseconds from 1", least: 1, most: 86_400_000 },
  "max-restarts": { takes: "a whole number from 0", least: 0, most: Number.MAX_SAFE_INTEGER },
  format: { takes: "text or json", choices: ["text", "json"] },
} satisfies Partial<Record<FlagName, TextFlag>>;

const SWITCHES = {
  "restart-on-error": [],
  "until-end": [],
  profile: [],
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
  const parsed = mri([...argv], {
    string: texts,
    boolean: Object.keys(SWITCHES),
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
  format: "text",
  quiet: false,
  verbose: false,
  color: true,
  help: false,
  version: false,
};

/** Refuses flags that the command does not take. */
export function requireTaken(
  command: string,
  taken: readonly FlagName[],
  given: ReadonlySet<FlagName>,
): void {
  for (const name of given) {
    if (taken.includes(name) || EVERYWHERE.includes(name)) continue;
    throw usageError(
      `'flow ${command}' takes no flag --${name}`,
      `its flags are shown by: flow ${command} --help`,
    );
  }
}

/** The error for a command line that is wrong; exit code 2. */
export function usageError(message: string, hint: string): FlowError {
  return new FlowError(message, { code: "usage_invalid", domain: "user", hint });
}

function textValue(name: string, flag: TextFlag, value: unknown): string | number {
  if (Array.isArray(value)) {
    throw usageError(`--${name} is given ${value.length} times`, `give --${name} once`);
  }
  if (value === false) throw unknownFlag(`--no-${name}`);
  const text = String(value);
  if (text === "") {
    throw usageError(`--${name} needs a value`, `give ${flag.takes}: --${name}=VALUE`);
  }
  const refuse = (near?: string) =>
    usageError(
      `--${name} is '${text}', but takes ${flag.takes}`,
      near === undefined ? `correct the value of --${name}` : `did you mean --${name} ${near}?`,
    );
  if (flag.choices !== undefined && !flag.choices.includes(text)) {
    throw refuse(nearestName(text, flag.choices));
  }
  if (flag.least === undefined || flag.most === undefined) return text;
  const number = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(number >= flag.least && number <= flag.most)) throw refuse();
  return number;
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
