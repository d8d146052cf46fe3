const PLACEHOLDER = /\$(\d+)/y;
const WORD = /[\p{L}_][\p{L}\p{N}_$]*/yu;
const DOLLAR_QUOTE = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/yu;
const LINE_COMMENT = /--[^\n\r]*/y;
const TEXT = /'(?:[^']|'')*'/y;
const ESCAPED_TEXT = /[eE]'(?:[^'\\]|''|\\[^])*'/y;
const QUOTED_NAME = /"(?:[^"]|"")*"/y;

/** What is passed in one step; a word last but one, since `e'…'` begins like one. */
const PASSED = [LINE_COMMENT, TEXT, ESCAPED_TEXT, QUOTED_NAME, WORD];

/**
 * The statement with each `$1`, `$2` … replaced. Texts, quoted names, comments and dollar-quoted bodies stay as they are.
 *
 * @param replacement what stands in the place of the n-th parameter, from 1
 */
export function replacePlaceholders(sql: string, replacement: (index: number) => string): string {
  let replaced = "";
  let at = 0;
  while (at < sql.length) {
    const placeholder = matchAt(PLACEHOLDER, sql, at);
    if (placeholder !== undefined) {
      replaced += replacement(Number(placeholder[1]));
      at += placeholder[0].length;
      continue;
    }
    const end = passedUntil(sql, at);
    replaced += sql.slice(at, end);
    at = end;
  }
  return replaced;
}

function passedUntil(sql: string, at: number): number {
  const tag = matchAt(DOLLAR_QUOTE, sql, at)?.[0];
  if (tag !== undefined) {
    const end = sql.indexOf(tag, at + tag.length);
    return end < 0 ? sql.length : end + tag.length;
  }
  if (sql.startsWith("/*", at)) return commentEnd(sql, at);
  for (const pattern of PASSED) {
    const found = matchAt(pattern, sql, at);
    if (found !== undefined) return at + found[0].length;
  }
  return at + 1;
}

/** Comments nest. */
function commentEnd(sql: string, at: number): number {
  const marks = /\/\*|\*\//g;
  marks.lastIndex = at;
  let depth = 0;
  for (let mark = marks.exec(sql); mark !== null; mark = marks.exec(sql)) {
    depth += mark[0] === "/*" ? 1 : -1;
    if (depth === 0) return marks.lastIndex;
  }
  return sql.length;
}

function matchAt(pattern: RegExp, sql: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(sql) ?? undefined;
}
