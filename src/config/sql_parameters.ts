/** A `$name` in an SQL text: `text.slice(start, end)` is the dollar sign and the name. */
export interface SqlParameter {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/**
 * The `$name` parameters of an SQL text, in order, repeated ones included. What stands in texts, quoted names, comments and
 * dollar-quoted bodies (`$tag$ … $tag$`) is no parameter, neither is a dollar sign within a name (`a$b`) or a number (`$1`).
 *
 * With the kind of database its own rules are followed: under MySQL a backslash escapes the next character of a text and `#` starts a
 * comment, under SQLite `[…]` is a quoted name. Without it (while the connection is not known) only what all of them agree on is skipped.
 *
 * @example
 * ```ts ignore
 * findParameters("SELECT * FROM t WHERE at > $watermark AND note <> '$none'"); // [{ name: "watermark", start: 27, end: 37 }]
 * ```
 */
export function findParameters(sql: string, kind?: string): readonly SqlParameter[] {
  const found: SqlParameter[] = [];
  let at = 0;
  while (at < sql.length) {
    const end = skipped(sql, at, kind);
    if (end !== undefined) {
      at = end;
      continue;
    }
    const name = matchAt(PARAMETER, sql, at)?.[1];
    if (name === undefined) {
      // A name is passed in one step, so that a dollar sign or a quote prefix within it is not looked at.
      at += matchAt(WORD, sql, at)?.[0].length ?? 1;
      continue;
    }
    const start = at;
    at = start + 1 + name.length;
    found.push({ name, start, end: at });
  }
  return found;
}

const PARAMETER = /\$([\p{L}_][\p{L}\p{N}_]*)/yu;
const WORD = /[\p{L}\p{N}_][\p{L}\p{N}_$]*/yu;
/** A tag is a name without dollar signs, or nothing. */
const DOLLAR_QUOTE = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/yu;
const ESCAPED_TEXT = /[eE]'/y;
/** Under MySQL two dashes start a comment only before white space. */
const MYSQL_DASHES = /--(?=\s|$)/y;

/** Where the text, quoted name or comment that starts here ends; `undefined` when none does. One without an end goes to the end of the SQL. */
function skipped(sql: string, at: number, kind: string | undefined): number | undefined {
  const isMysql = kind === "mysql";
  switch (sql[at]) {
    case "'":
      return quoted(sql, at, "'", isMysql);
    case '"':
      return quoted(sql, at, '"', isMysql);
    case "`":
      return quoted(sql, at, "`", false);
    case "[":
      return kind === "sqlite" ? after(sql, sql.indexOf("]", at), 1) : undefined;
    case "e":
    case "E":
      return !isMysql && matchAt(ESCAPED_TEXT, sql, at) !== undefined
        ? quoted(sql, at + 1, "'", true)
        : undefined;
    case "-":
      return (isMysql ? matchAt(MYSQL_DASHES, sql, at) !== undefined : sql[at + 1] === "-")
        ? lineEnd(sql, at)
        : undefined;
    case "#":
      return isMysql ? lineEnd(sql, at) : undefined;
    case "/":
      return sql[at + 1] === "*" ? commentEnd(sql, at, kind) : undefined;
    case "$": {
      if (isMysql || kind === "sqlite") return undefined;
      const tag = matchAt(DOLLAR_QUOTE, sql, at)?.[0];
      return tag === undefined
        ? undefined
        : after(sql, sql.indexOf(tag, at + tag.length), tag.length);
    }
    default:
      return undefined;
  }
}

/** A doubled quote stands for itself. */
function quoted(sql: string, at: number, quote: string, hasEscapes: boolean): number {
  for (let next = at + 1; next < sql.length; next += 1) {
    if (hasEscapes && sql[next] === "\\") next += 1;
    else if (sql[next] === quote && sql[next + 1] === quote) next += 1;
    else if (sql[next] === quote) return next + 1;
  }
  return sql.length;
}

function lineEnd(sql: string, at: number): number {
  const end = sql.indexOf("\n", at);
  return end < 0 ? sql.length : end + 1;
}

/** Comments nest in Postgres and DuckDB, and end at the first end elsewhere. */
function commentEnd(sql: string, at: number, kind: string | undefined): number {
  const first = after(sql, sql.indexOf("*/", at + 2), 2);
  if (kind === "mysql" || kind === "sqlite") return first;
  const marks = /\/\*|\*\//g;
  marks.lastIndex = at;
  let depth = 0;
  for (let mark = marks.exec(sql); mark !== null; mark = marks.exec(sql)) {
    depth += mark[0] === "/*" ? 1 : -1;
    if (depth === 0) return marks.lastIndex;
  }
  // Where the kind is not known, a comment that does not end by nesting may be one of a database without it.
  return kind === undefined ? first : sql.length;
}

function after(sql: string, found: number, length: number): number {
  return found < 0 ? sql.length : found + length;
}

function matchAt(pattern: RegExp, sql: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(sql) ?? undefined;
}
