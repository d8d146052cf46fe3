/** Sessions whose statements a test sees before they run. */
import type { BatchDependencies } from "../../src/batch/dependencies.ts";
import type { DatabaseSession } from "../../src/core/database.ts";
import type { SqlValue } from "../../src/core/session.ts";

/**
 * Dependencies over others: `before` is called ahead of every statement of `run` and `rows`, and waited for, and of every query whose rows are read in bulk.
 * Databases of one kind do not pass on their own format here, so that the query is the one of the load.
 */
export function watched(
  deps: BatchDependencies,
  before: (sql: string) => Promise<void> | void,
): BatchDependencies {
  return {
    ...deps,
    openDatabase(connection) {
      const database = deps.openDatabase(connection);
      return {
        kind: database.kind,
        identity: database.identity,
        shown: database.shown,
        dialect: database.dialect,
        connect: async (signal, options) =>
          watchedSession(await database.connect(signal, options), before),
      };
    },
  };
}

function watchedSession(
  session: DatabaseSession,
  before: (sql: string) => Promise<void> | void,
): DatabaseSession {
  return new Proxy(session, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (name === "native") return undefined;
      if (typeof value !== "function") return value;
      if (name === "read") {
        return (sql: string, ...rest: readonly unknown[]) => {
          void before(sql);
          return value.call(target, sql, ...rest);
        };
      }
      if (name !== "run" && name !== "rows") return value.bind(target);
      return async (sql: string, params?: readonly SqlValue[]) => {
        await before(sql);
        return await value.call(target, sql, params);
      };
    },
  });
}
