/**
 * Who has to act on an error: the person who wrote the definition (or whose data it is), an external system
 * (broker, database, network), or flow itself (a bug).
 */
export type ErrorDomain = "user" | "external" | "internal";

/** Plain-data form of a {@link FlowError}, as it crosses from one isolate to another and into JSON output. */
export interface FlowErrorData {
  readonly code: string;
  readonly domain: ErrorDomain;
  readonly retryable: boolean;
  readonly message: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, string | number>>;
  readonly cause?: string;
}

/** What is needed to make a {@link FlowError}. `code` is stable and snake_case: scripts match on it. */
export interface FlowErrorInit {
  readonly code: string;
  readonly domain: ErrorDomain;
  /** True when doing the same again later may work (a broker that is away), false when it cannot. */
  readonly retryable?: boolean;
  /** One sentence that says what to do, such as the missing flag or the nearest valid name. */
  readonly hint?: string;
  /** Machine-readable particulars: topic, partition, offset, column, file, line … Never a credential. */
  readonly details?: Readonly<Record<string, string | number>>;
  readonly cause?: unknown;
}

/**
 * The one error type that flow raises on purpose. The message says what was attempted, with which value; the hint
 * says what to do. Neither holds a credential: texts that come from drivers go through {@link redactText} first.
 *
 * @example
 * ```ts
 * throw new FlowError("cannot read topic 'orders': the broker knows no such topic", {
 *   code: "kafka_unknown_topic", domain: "user", hint: "create the topic, or correct source_query",
 *   details: { topic: "orders" },
 * });
 * ```
 */
export class FlowError extends Error {
  /** Always `FlowError`. */
  override readonly name: string = "FlowError";
  /** Stable snake_case name of the kind of error. */
  readonly code: string;
  /** Who has to act. */
  readonly domain: ErrorDomain;
  /** True when doing the same again later may work. */
  readonly retryable: boolean;
  /** What to do about it. */
  readonly hint: string | undefined;
  /** Particulars: topic, partition, offset, column, file … */
  readonly details: Readonly<Record<string, string | number>>;

  /** Credentials in the message, the hint and the causes are hidden. */
  constructor(message: string, init: FlowErrorInit) {
    super(redactText(message), init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.domain = init.domain;
    this.retryable = init.retryable ?? false;
    this.hint = init.hint === undefined ? undefined : redactText(init.hint);
    this.details = init.details ?? {};
    redactCauses(this.cause);
  }

  /** The plain data of this error, for other isolates, run logs and `--format json`. */
  toData(): FlowErrorData {
    return {
      code: this.code,
      domain: this.domain,
      retryable: this.retryable,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(Object.keys(this.details).length === 0 ? {} : { details: this.details }),
      ...(this.cause === undefined ? {} : { cause: describeError(this.cause) }),
    };
  }

  /** The error that another isolate sent with {@link toData}. */
  static fromData(data: FlowErrorData): FlowError {
    return new FlowError(data.message, {
      code: data.code,
      domain: data.domain,
      retryable: data.retryable,
      ...(data.hint === undefined ? {} : { hint: data.hint }),
      ...(data.details === undefined ? {} : { details: data.details }),
      ...(data.cause === undefined ? {} : { cause: data.cause }),
    });
  }
}

/** A readable, redacted one-line text for anything that was thrown. */
export function describeError(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.errors.length > 0 && !thrown.message) {
    return thrown.errors.map(describeError).join("; ");
  }
  if (thrown instanceof Error) return redactText(thrown.message || thrown.name);
  return redactText(String(thrown));
}

/**
 * The thrown value as a {@link FlowError}: itself when it is one, otherwise an internal error of code `unexpected`
 * (whatever was not foreseen is a bug of flow until somebody gives it a code).
 */
export function toFlowError(thrown: unknown): FlowError {
  if (thrown instanceof FlowError) return thrown;
  return new FlowError(describeError(thrown), {
    code: "unexpected",
    domain: "internal",
    cause: thrown,
  });
}

const secrets = new Set<string>();

/**
 * Makes a secret known, so that no message shows it from here on, wherever the text came from.
 * Secrets shorter than four characters are not registered: hiding them would garble ordinary words.
 */
export function registerSecret(secret: string): void {
  if (secret.length < 4) return;
  secrets.add(secret);
  secrets.add(encodeURIComponent(secret));
}

/** Up to the last `@` of the word: passwords may hold `/` and `@`. */
const URL_CREDENTIALS = /\b([a-z][a-z0-9+.-]*:\/\/)([^\s'"]*)@/gi;
const KEY_VALUE_SECRETS = /\b(password|passwd|pwd|secret|token|secret_access_key)=([^\s&;'"]+)/gi;

/** The text without credentials: user info of URLs, `password=…` pairs, and every registered secret. */
export function redactText(text: string): string {
  let redacted = text
    .replace(URL_CREDENTIALS, (_all, scheme: string, user: string) => {
      const name = user.split(":")[0] ?? "";
      return user.includes(":") ? `${scheme}${name}:***@` : `${scheme}${user}@`;
    })
    .replace(KEY_VALUE_SECRETS, (_all, key: string) => `${key}=***`);
  for (const secret of secrets) {
    if (redacted.includes(secret)) redacted = redacted.replaceAll(secret, "***");
  }
  return redacted;
}

/** Drivers put connection strings into their messages; `Deno.inspect` prints causes, so they are cleaned in place. */
function redactCauses(cause: unknown): void {
  for (let at = cause, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth += 1) {
    try {
      at.message = redactText(at.message);
      if (at.stack !== undefined) at.stack = redactText(at.stack);
    } catch {
      // A frozen error keeps its text; describeError() still redacts what is printed.
    }
  }
}
