import { parse, TomlError } from "@std/toml";
import { FlowError } from "../core/error.ts";
import type { KeyPath, Place } from "./problem.ts";
import { keyPositions } from "./toml_position.ts";

/** A parsed TOML text that still knows where its keys stand. */
export interface TomlDocument {
  readonly value: Readonly<Record<string, unknown>>;
  readonly place: Place;
}

/**
 * Parses a TOML text. `file` is its name in messages.
 *
 * Throws a {@link FlowError} of code `definition_invalid` with line and column when it is no TOML. The parser's own message is not passed
 * on as a cause, since it quotes the lines around the error, which may hold a password.
 */
export function parseToml(text: string, file: string): TomlDocument {
  const locate = keyPositions(text);
  const place: Place = {
    spelling: "toml",
    locate(path: KeyPath) {
      for (let length = path.length; length > 0; length -= 1) {
        const position = locate(path.slice(0, length));
        if (position !== undefined) return { file, ...position };
      }
      return { file, line: 1, column: 1 };
    },
  };
  try {
    return { value: parse(text), place };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split("\n", 1)[0]?.replace(/^Invalid TOML document: /, "");
    throw new FlowError(
      `${file}:${error.line}:${error.column}: this is no valid TOML: ${reason ?? "unknown reason"}`,
      {
        code: "definition_invalid",
        domain: "user",
        hint: "see https://toml.io for the syntax; texts stand in quotes",
        details: { problems: 1, file, line: error.line, column: error.column },
      },
    );
  }
}
