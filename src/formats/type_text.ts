import { DEFAULT_DECIMAL, scalarName } from "../core/engine_type.ts";
import { FlowError } from "../core/error.ts";

/**
 * A DuckDB type, taken apart. `name` of a scalar is upper case and in DuckDB's own spelling (`BIGINT`, `VARCHAR`,
 * `TIMESTAMP WITH TIME ZONE`), whatever alias the text used.
 */
export type TypeNode =
  | { readonly kind: "scalar"; readonly name: string }
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: "enum"; readonly values: readonly string[] }
  /** `length` is set for an array of fixed length (`INTEGER[3]`). */
  | { readonly kind: "list"; readonly element: TypeNode; readonly length?: number }
  | { readonly kind: "struct"; readonly fields: readonly TypeField[] }
  | { readonly kind: "union"; readonly members: readonly TypeField[] }
  | { readonly kind: "map"; readonly key: TypeNode; readonly value: TypeNode };

/** A field of a struct or a member of a union. The fields of an unnamed struct (`row(1, 2)`) have the name "". */
export interface TypeField {
  readonly name: string;
  readonly type: TypeNode;
}

/** Scalar types of several words, which a field name could otherwise be mistaken for. */
const SECOND_WORDS = /^\s+(?:WITH|WITHOUT)\s+TIME\s+ZONE\b|^\s+PRECISION\b|^\s+VARYING\b/i;

/**
 * Takes the text of a DuckDB type apart, as `typeof`, `DESCRIBE` and declarations spell it.
 *
 * @throws FlowError `type_text_invalid` (user) naming the text and the place.
 * @example
 * ```ts
 * parseType('STRUCT(id BIGINT, "a b" DECIMAL(9,2)[])');
 * ```
 */
export function parseType(text: string): TypeNode {
  const parser = new TypeParser(text);
  return parser.whole();
}

/** The text of a type in DuckDB's own spelling: the inverse of {@link parseType}. */
export function typeText(type: TypeNode): string {
  switch (type.kind) {
    case "scalar":
      return type.name;
    case "decimal":
      return `DECIMAL(${type.precision},${type.scale})`;
    case "enum":
      return `ENUM(${type.values.map((v) => `'${v.replaceAll("'", "''")}'`).join(", ")})`;
    case "list":
      return `${typeText(type.element)}[${type.length ?? ""}]`;
    case "struct":
      return `STRUCT(${type.fields.map(fieldText).join(", ")})`;
    case "union":
      return `UNION(${type.members.map(fieldText).join(", ")})`;
    case "map":
      return `MAP(${typeText(type.key)}, ${typeText(type.value)})`;
  }
}

function fieldText(field: TypeField): string {
  if (field.name === "") return typeText(field.type);
  return `"${field.name.replaceAll('"', '""')}" ${typeText(field.type)}`;
}

class TypeParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): TypeNode {
    const type = this.#type();
    this.#space();
    if (this.#at < this.#text.length) this.#fail("the end");
    return type;
  }

  #type(): TypeNode {
    let type = this.#base();
    for (;;) {
      const suffix = this.#match(/^\s*\[\s*(\d*)\s*\]/);
      if (suffix === undefined) return type;
      const length = suffix[1];
      type = length
        ? { kind: "list", element: type, length: Number(length) }
        : { kind: "list", element: type };
    }
  }

  #base(): TypeNode {
    this.#space();
    if (this.#text[this.#at] === '"') {
      const name = this.#quoted('"');
      return { kind: "scalar", name: name.toUpperCase() === "NULL" ? "NULL" : name };
    }
    const word = this.#match(/^[A-Za-z_][A-Za-z0-9_]*/)?.[0];
    if (word === undefined) this.#fail("a type name");
    switch (word.toUpperCase()) {
      case "STRUCT":
      case "ROW":
        return { kind: "struct", fields: this.#fields() };
      case "UNION":
        return { kind: "union", members: this.#fields() };
      case "MAP":
        return this.#map();
      case "ENUM":
        return this.#enum();
      case "DECIMAL":
      case "NUMERIC":
      case "DEC":
        return this.#decimal();
      default:
        return this.#scalar(word);
    }
  }

  #scalar(word: string): TypeNode {
    const rest = this.#match(SECOND_WORDS)?.[0] ?? "";
    const full = `${word}${rest}`.toUpperCase().replaceAll(/\s+/g, " ");
    const name = scalarName(full);
    // VARCHAR(20), TIMESTAMP(6): the engine itself ignores these lengths.
    if (!this.#match(/^\s*\(\s*\d+\s*\)/)) return { kind: "scalar", name };
    if (rest !== "") return { kind: "scalar", name };
    const after = this.#match(SECOND_WORDS)?.[0] ?? "";
    const spelled = `${word}${after}`.toUpperCase().replaceAll(/\s+/g, " ");
    return { kind: "scalar", name: scalarName(spelled) };
  }

  #decimal(): TypeNode {
    const digits = this.#match(/^\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)/);
    if (digits === undefined) return { kind: "decimal", ...DEFAULT_DECIMAL };
    return { kind: "decimal", precision: Number(digits[1]), scale: Number(digits[2] ?? 0) };
  }

  #enum(): TypeNode {
    const values: string[] = [];
    this.#expect("(");
    do {
      this.#space();
      if (this.#text[this.#at] !== "'") this.#fail("a quoted text");
      values.push(this.#quoted("'"));
    } while (this.#take(","));
    this.#expect(")");
    return { kind: "enum", values };
  }

  #map(): TypeNode {
    this.#expect("(");
    const key = this.#type();
    this.#expect(",");
    const value = this.#type();
    this.#expect(")");
    return { kind: "map", key, value };
  }

  #fields(): TypeField[] {
    const fields: TypeField[] = [];
    this.#expect("(");
    do fields.push(this.#field()); while (this.#take(","));
    this.#expect(")");
    return fields;
  }

  #field(): TypeField {
    this.#space();
    const start = this.#at;
    const name = this.#text[start] === '"'
      ? this.#quoted('"')
      : this.#match(/^[^\s,()[\]"]+/)?.[0] ?? this.#fail("a field name");
    const rest = this.#text.slice(this.#at);
    const unnamed = /^\s*[,)([]/.test(rest) ||
      (/^(?:time|timestamp|double|character)$/i.test(name) && SECOND_WORDS.test(rest));
    if (!unnamed) return { name, type: this.#type() };
    this.#at = start;
    return { name: "", type: this.#type() };
  }

  #quoted(quote: string): string {
    let value = "";
    for (this.#at += 1;;) {
      const end = this.#text.indexOf(quote, this.#at);
      if (end === -1) this.#fail(`a closing ${quote}`);
      value += this.#text.slice(this.#at, end);
      this.#at = end + 1;
      if (this.#text[this.#at] !== quote) return value;
      value += quote;
      this.#at += 1;
    }
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    const found = pattern.exec(this.#text.slice(this.#at)) ?? undefined;
    if (found !== undefined) this.#at += found[0].length;
    return found;
  }

  #space(): void {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at += 1;
  }

  #take(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #expect(character: string): void {
    if (!this.#take(character)) this.#fail(`'${character}'`);
  }

  #fail(expected: string): never {
    throw new FlowError(
      `cannot read the type '${this.#text}': expected ${expected} at character ${this.#at + 1}`,
      {
        code: "type_text_invalid",
        domain: "user",
        hint: "write types as the engine does: BIGINT, DECIMAL(18,2), VARCHAR[], STRUCT(a BIGINT)",
      },
    );
  }
}
