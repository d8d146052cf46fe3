import { FlowError } from "../core/error.ts";

/** What Deno refused, read from its error. */
export interface Denial {
  readonly kind: "read" | "write" | "net" | "env" | "sys" | "run" | "ffi" | "import";
  /** The path, `host:port`, variable or name; absent when the whole kind was asked for. */
  readonly target?: string;
}

/** Whose code was refused: the user's modules have less than the engine, and the hint says so. */
export type Isolate = "module" | "engine";

const REFUSED =
  /Requires (read|write|net|env|sys|run|ffi|import) access(?: to (?:"([^"]*)"|(<[A-Za-z_]+>)))?,? (?:run again|specify the required)/;
const LOOKUP_REFUSED = /getaddrinfo EPERM (\S+)/;
const MAX_DEPTH = 8;

/**
 * Finds Deno's refusal in what was thrown, at any depth: client libraries wrap it into errors of their own
 * (kafkajs as `cause` and `originalError`, others in an AggregateError), and keep its text.
 */
export function findDenial(thrown: unknown, depth = 0): Denial | undefined {
  if (depth > MAX_DEPTH || thrown === undefined || thrown === null) return undefined;
  if (typeof thrown === "string") return denialInText(thrown, undefined);
  if (!(thrown instanceof Error)) return undefined;
  const own = denialInText(thrown.message, thrown);
  if (own !== undefined) return own;
  const inner: readonly unknown[] = [
    thrown.cause,
    propertyOf(thrown, "originalError"),
    ...(thrown instanceof AggregateError ? thrown.errors : []),
  ];
  for (const candidate of inner) {
    const found = findDenial(candidate, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

function denialInText(text: string, error: Error | undefined): Denial | undefined {
  const [, kind, quoted] = REFUSED.exec(text) ?? [];
  if (kind !== undefined) {
    const denied = kind as Denial["kind"];
    return quoted === undefined ? { kind: denied } : { kind: denied, target: quoted };
  }
  // The lookup of a name that may not be reached; the library knows the port, if anybody does.
  const [, host] = LOOKUP_REFUSED.exec(text) ?? [];
  if (host === undefined) return undefined;
  const broker = error && (propertyOf(error, "broker") ?? propertyOf(error.cause, "broker"));
  return { kind: "net", target: typeof broker === "string" ? broker : host };
}

function propertyOf(holder: unknown, key: string): unknown {
  return typeof holder === "object" && holder !== null && key in holder
    ? Reflect.get(holder, key)
    : undefined;
}

/** The flag that grants what was denied: `--allow-net=localhost:9092`. */
export function flagFor(denial: Denial): string {
  const { kind, target } = denial;
  if (target === undefined) return `--allow-${kind}`;
  const path = kind === "read" || kind === "write";
  return `--allow-${kind}=${path ? target.replaceAll(",", ",,") : target}`;
}

const ACTIONS: Readonly<Record<Denial["kind"], string>> = {
  read: "read",
  write: "write",
  net: "reach",
  env: "read the environment variable",
  sys: "ask the system for",
  run: "run the program",
  ffi: "load the native library",
  import: "import remote code from",
};

const WHOLE: Readonly<Record<Denial["kind"], string>> = {
  read: "read files",
  write: "write files",
  net: "use the network",
  env: "list the environment variables",
  sys: "ask about the system",
  run: "run programs or signal processes",
  ffi: "load native libraries",
  import: "import remote code",
};

const ADVICE =
  /Requires \w+ access[^,]*, (?:run again with the --allow-\w+ flag|specify the required permissions during compilation using `deno compile --allow-\w+`)/;

/** A message without Deno's sentence, whose advice is not for users of flow. */
export function withoutAdvice(message: string, instead: string): string {
  return ADVICE.test(message) ? message.replace(ADVICE, instead) : `${message}: ${instead}`;
}

/**
 * The `permission_denied` error for a refusal of Deno found in what was thrown, `undefined` when there is none in it. Its hint names the
 * missing flag exactly, or says that no flag grants it. `where` is the place in the user's code, as `file:line:column`.
 */
export function permissionDenied(
  thrown: unknown,
  isolate: Isolate,
  where?: string,
): FlowError | undefined {
  if (thrown instanceof FlowError && thrown.code === "permission_denied") return thrown;
  const denial = findDenial(thrown);
  return denial && denialError(denial, isolate, where);
}

/** The `permission_denied` error for a denial. */
export function denialError(denial: Denial, isolate: Isolate, where?: string): FlowError {
  const { kind, target } = denial;
  const action = target === undefined ? WHOLE[kind] : `${ACTIONS[kind]} ${shownTarget(denial)}`;
  const place = where === undefined ? "" : ` at ${where}`;
  const subject = isolate === "module" ? "the module may not" : "flow may not";
  const never = kind === "run" || kind === "ffi" || kind === "import";
  const flag = flagFor(denial);
  return new FlowError(`permission denied${place}: ${subject} ${action}`, {
    code: "permission_denied",
    domain: "user",
    hint: never
      ? `${isolate === "module" ? "pipeline modules" : "flow's engine"} never ${
        isolate === "module" ? "have" : "has"
      } --allow-${kind}, whatever flags flow was given`
      : `run flow with ${flag}`,
    details: {
      permission: kind,
      ...(target === undefined ? {} : { target }),
      ...(never ? {} : { flag }),
    },
  });
}

function shownTarget({ kind, target = "" }: Denial): string {
  return kind === "env" || kind === "net" || kind === "sys" ? target : `'${target}'`;
}
