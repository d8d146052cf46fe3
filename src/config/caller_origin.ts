import type { Origin } from "../core/spec.ts";

/**
 * Where a builder function was called: the file, line and column of the first stack frame above `builder`, which is the user's own
 * line. File URLs become paths.
 */
// deno-lint-ignore ban-types -- captureStackTrace takes any function, whatever its arguments
export function callerOrigin(builder: Function): Origin {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, builder);
  for (const line of (holder.stack ?? "").split("\n")) {
    const frame = /([a-z][a-z0-9+.-]*:\/\/?[^\s()]+|\/[^\s()]+):(\d+):(\d+)\)?$/i.exec(line);
    const [, file, row, column] = frame ?? [];
    if (file !== undefined) {
      return { file: filePath(file), line: Number(row), column: Number(column) };
    }
  }
  return { file: "module" };
}

function filePath(url: string): string {
  if (!url.startsWith("file://")) return url;
  const path = decodeURIComponent(new URL(url).pathname);
  return /^\/[A-Za-z]:\//.test(path) ? path.slice(1) : path;
}
