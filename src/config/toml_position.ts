import type { KeyPath } from "./problem.ts";

/** A place in a text: line and column count from 1, the column in UTF-16 units as editors count. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

interface Node {
  position: Position | undefined;
  readonly keys: Map<string, Node>;
  readonly items: Node[];
}

/**
 * Finds where each key of a TOML document stands, which its parser does not tell. The text must have been parsed already: the
 * finder skips over whatever it need not understand, and never throws.
 *
 * The returned function gives the place of a key path: for a table its header (or its first key, when it has no header), for an item of
 * an array of tables its `[[header]]`, for an item of an array its value; for a path that is not there, `undefined`. Where an
 * array has only one item, its number may be left out, as `[[targets.table]]` stands for `[targets.table]`.
 *
 * @example
 * ```ts
 * import { keyPositions } from "./toml_position.ts";
 * const locate = keyPositions('[source]\nkind = "kafka"\n');
 * locate(["source", "kind"]); // { line: 2, column: 1 }
 * ```
 */
export function keyPositions(toml: string): (path: KeyPath) => Position | undefined {
  const root = new Finder(toml).document();
  return (path) => {
    let node: Node | undefined = root;
    for (const segment of path) {
      const only: Node | undefined = node.items.length === 1 ? node.items[0] : undefined;
      node = typeof segment === "number"
        ? node.items[segment]
        : node.keys.get(segment) ?? only?.keys.get(segment);
      if (node === undefined) return undefined;
    }
    return node.position;
  };
}

function newNode(position: Position | undefined): Node {
  return { position, keys: new Map(), items: [] };
}

interface KeySegment {
  readonly name: string;
  readonly position: Position;
}

class Finder {
  readonly #text: string;
  readonly #lineStarts: readonly number[];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    const starts = [0];
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) {
      starts.push(at + 1);
    }
    this.#lineStarts = starts;
  }

  document(): Node {
    const root = newNode({ line: 1, column: 1 });
    let table = root;
    while (this.#skipBlank(), this.#at < this.#text.length) {
      const before = this.#at;
      if (this.#text.startsWith("[", this.#at)) table = this.#header(root);
      else this.#keyValue(table);
      if (this.#at === before) this.#at += 1;
    }
    return root;
  }

  #header(root: Node): Node {
    const position = this.#here();
    const isArray = this.#text.startsWith("[[", this.#at);
    this.#at += isArray ? 2 : 1;
    const path = this.#keyPath();
    this.#skipTo("]");
    this.#at += isArray ? 2 : 1;
    let node = root;
    path.forEach((segment, index) => {
      const last = index === path.length - 1;
      let child = node.keys.get(segment.name);
      if (child === undefined) {
        child = newNode(position);
        node.keys.set(segment.name, child);
      } else if (last && !isArray && child.items.length === 0) {
        child.position = position;
      }
      if (last && isArray) {
        const item = newNode(position);
        child.items.push(item);
        node = item;
      } else {
        node = child.items.at(-1) ?? child;
      }
    });
    return node;
  }

  /** `a.b = value`, in a table or an inline table. */
  #keyValue(table: Node): void {
    const path = this.#keyPath();
    let node = table;
    for (const segment of path) {
      let child = node.keys.get(segment.name);
      if (child === undefined) {
        child = newNode(segment.position);
        node.keys.set(segment.name, child);
      }
      node = child;
    }
    this.#skipBlank();
    if (this.#text[this.#at] !== "=") return;
    this.#at += 1;
    this.#skipBlank();
    this.#value(node);
  }

  #keyPath(): KeySegment[] {
    const path: KeySegment[] = [];
    do {
      if (this.#text[this.#at] === ".") this.#at += 1;
      this.#skipSpaces();
      const position = this.#here();
      const name = this.#keyName();
      if (name === undefined) break;
      path.push({ name, position });
      this.#skipSpaces();
    } while (this.#text[this.#at] === ".");
    return path;
  }

  #keyName(): string | undefined {
    const quote = this.#text[this.#at];
    if (quote === '"' || quote === "'") {
      const start = this.#at;
      this.#skipString();
      const inner = this.#text.slice(start + 1, this.#at - 1);
      return quote === '"' ? unescape(inner) : inner;
    }
    const bare = /[A-Za-z0-9_-]+/y;
    bare.lastIndex = this.#at;
    const name = bare.exec(this.#text)?.[0];
    if (name !== undefined) this.#at += name.length;
    return name;
  }

  #value(node: Node): void {
    const first = this.#text[this.#at];
    if (first === "{") this.#inlineTable(node);
    else if (first === "[") this.#array(node);
    else if (first === '"' || first === "'") this.#skipString();
    else while (this.#at < this.#text.length && !/[,\]}\n#]/.test(this.#char())) this.#at += 1;
  }

  #inlineTable(node: Node): void {
    this.#at += 1;
    while (this.#skipBlank(), this.#at < this.#text.length) {
      const char = this.#char();
      const before = this.#at;
      if (char === "}") {
        this.#at += 1;
        return;
      }
      if (char === ",") this.#at += 1;
      else this.#keyValue(node);
      if (this.#at === before) this.#at += 1;
    }
  }

  #array(node: Node): void {
    this.#at += 1;
    while (this.#skipBlank(), this.#at < this.#text.length) {
      const char = this.#char();
      const before = this.#at;
      if (char === "]") {
        this.#at += 1;
        return;
      }
      if (char === ",") {
        this.#at += 1;
      } else {
        const item = newNode(this.#here());
        node.items.push(item);
        this.#value(item);
      }
      if (this.#at === before) this.#at += 1;
    }
  }

  /** Over a string of any of the four kinds, whose first quote is at hand. */
  #skipString(): void {
    const quote = this.#char();
    const isLong = this.#text.startsWith(quote.repeat(3), this.#at);
    const end = isLong ? quote.repeat(3) : quote;
    this.#at += end.length;
    while (this.#at < this.#text.length && !this.#text.startsWith(end, this.#at)) {
      this.#at += quote === '"' && this.#char() === "\\" ? 2 : 1;
    }
    this.#at += end.length;
    // Up to two quotes may stand right before the three that end a long string: they belong to it.
    while (isLong && this.#text[this.#at] === quote) this.#at += 1;
  }

  #skipTo(char: string): void {
    const found = this.#text.indexOf(char, this.#at);
    this.#at = found === -1 ? this.#text.length : found;
  }

  #skipSpaces(): void {
    while (this.#text[this.#at] === " " || this.#text[this.#at] === "\t") this.#at += 1;
  }

  /** Over white space, line ends and comments. */
  #skipBlank(): void {
    for (; this.#at < this.#text.length; this.#at += 1) {
      if (this.#char() === "#") {
        const end = this.#text.indexOf("\n", this.#at);
        this.#at = end === -1 ? this.#text.length : end;
      } else if (!/[ \t\r\n\uFEFF]/.test(this.#char())) {
        return;
      }
    }
  }

  #char(): string {
    return this.#text.charAt(this.#at);
  }

  #here(): Position {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#lineStarts[middle] ?? 0) <= this.#at) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: this.#at - (this.#lineStarts[low] ?? 0) + 1 };
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  b: "\b",
  t: "\t",
  n: "\n",
  f: "\f",
  r: "\r",
  e: "\x1b",
};

function unescape(text: string): string {
  return text.replace(
    /\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(.))/gs,
    (_all, u4?: string, u8?: string, x2?: string, char?: string) => {
      const hex = u4 ?? u8 ?? x2;
      if (hex !== undefined) return String.fromCodePoint(parseInt(hex, 16));
      return char === undefined ? "" : ESCAPES[char] ?? char;
    },
  );
}
