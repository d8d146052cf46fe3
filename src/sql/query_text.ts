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
