import { redactText, registerSecret } from "./error.ts";

const inspectSymbol = Symbol.for("Deno.customInspect");
const nodeInspectSymbol = Symbol.for("nodejs.util.inspect.custom");

/**
 * A text that must not be shown: `reveal()` is the only way to it. Printing, inspecting, concatenating and serialising
 * show it redacted (a connection URL without its password, otherwise `***`).
 */
export class Secret {
  readonly #text: string;
  readonly #shown: string;

  constructor(text: string) {
    this.#text = text;
    this.#shown = redactUrl(text);
    if (this.#shown === "***") registerSecret(text);
    else registerUrlPassword(text);
  }

  /** The text itself, for the driver that needs it. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return this.#shown;
  }

  toJSON(): string {
    return this.#shown;
  }

  [inspectSymbol](): string {
    return this.#shown;
  }

  [nodeInspectSymbol](): string {
    return this.#shown;
  }
}

/**
 * A URL without its password, and without the values of query parameters that may hold one. Takes everything up to the last `@` for
 * credentials, so that passwords with `/`, `@` or quotes in them are hidden too. A text that is no URL is hidden as a whole.
 */
export function redactUrl(url: string): string {
  // A `${VAR}` reference is a name, not a value.
  if (!/^([a-z][a-z0-9+.-]*:\/|\$\{\w+\}$)/i.test(url)) return "***";
  const redacted = url.replace(URL_USER, (_all, scheme: string, user: string) => {
    const colon = user.indexOf(":");
    return colon === -1 ? `${scheme}${user}@` : `${scheme}${user.slice(0, colon)}:***@`;
  }).replace(
    /([?&;][^=&;]*(?:pass|pwd|secret|token|key|credential)[^=&;]*=)[^&;]*/gi,
    (_all, name: string) => `${name}***`,
  );
  return redactText(redacted);
}

const URL_USER = /^([a-z][a-z0-9+.-]*:\/\/)(.*)@/is;

function registerUrlPassword(url: string): void {
  const user = URL_USER.exec(url)?.[2];
  if (user === undefined || !user.includes(":")) return;
  const password = user.slice(user.indexOf(":") + 1);
  registerSecret(password);
  try {
    registerSecret(decodeURIComponent(password));
  } catch {
    // Not percent-encoded after all; the raw text is registered.
  }
}
