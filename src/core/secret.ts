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
    const redacted = redactText(text);
    this.#shown = /^[a-z][a-z0-9+.-]*:/i.test(text) ? redacted : "***";
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

function registerUrlPassword(url: string): void {
  const user = /^[a-z][a-z0-9+.-]*:\/\/([^/@]*)@/i.exec(url)?.[1];
  const password = user?.slice(user.indexOf(":") + 1);
  if (user === undefined || password === undefined || !user.includes(":")) return;
  registerSecret(password);
  try {
    registerSecret(decodeURIComponent(password));
  } catch {
    // Not percent-encoded after all; the raw text is registered.
  }
}
