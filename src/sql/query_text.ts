/** Strings, quoted names, dollar-quoted texts, comments, and every other character by itself. */
const TOKEN =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|[\s\S]/g;

/**
 * One query that came from people, as a subquery can take it: without semicolons, comments and blanks after its end. Several queries stay
 * several, and the engine refuses them.
 *
 * @example
 * ```ts
 * queryText("SELECT ';' AS a; -- done"); // "SELECT ';' AS a"
 * ```
 */
export function queryText(sql: string): string {
  let end = 0;
  for (const { 0: token, index } of sql.matchAll(TOKEN)) {
    if (/^(\s|;|--|\/\*)/.test(token)) continue;
    end = index + token.length;
  }
  return sql.slice(0, end);
}

/**
 * The word that a query begins with, in capitals: `SELECT`, `EXPLAIN`; "" when it begins with anything else, such as a bracket.
 *
 * @example
 * ```ts
 * firstWord("-- the plan\nexplain SELECT 1"); // "EXPLAIN"
 * ```
 */
export function firstWord(sql: string): string {
  for (const { 0: token, index } of sql.matchAll(TOKEN)) {
    if (/^(\s|--|\/\*)/.test(token)) continue;
    return /^[a-z]+/i.exec(sql.slice(index))?.[0].toUpperCase() ?? "";
  }
  return "";
}

/** True when something follows a semicolon. Texts with the escapes of some database may be taken wrongly: good for advice, not for a decision. */
export function isSeveralQueries(sql: string): boolean {
  let isEnded = false;
  for (const { 0: token } of queryText(sql).matchAll(TOKEN)) {
    if (/^(\s|--|\/\*)/.test(token)) continue;
    if (token === ";") isEnded = true;
    else if (isEnded) return true;
  }
  return false;
}
