/** Databases whose COMMIT fails as a test wants it, and a clock that does not keep it waiting. */
import type { BatchDependencies } from "../../src/batch/dependencies.ts";
import type { BatchConnection } from "../../src/core/batch_spec.ts";
import { type Clock, systemClock } from "../../src/core/clock.ts";
import type { Database, DatabaseSession } from "../../src/core/database.ts";
import { FlowError } from "../../src/core/error.ts";

/** What becomes of a COMMIT. Sessions that are lost answer nothing any more, and the server has ended them. */
export type CommitFate = "refused" | "done, answer lost" | "lost before";

/** The failure that a test has asked for. */
export const COMMIT_FAILURE = "the test's COMMIT failed";

/** Dependencies over others, in which COMMITs meet their fates, one after the other; after them they do as always. */
export class UnsureCommits {
  readonly #deps: BatchDependencies;
  readonly #fates: CommitFate[];
  readonly #retryable: boolean;
  #isAway = false;

  constructor(
    deps: BatchDependencies,
    fates: readonly CommitFate[],
    { retryable = true, awayAfter = false }: {
      readonly retryable?: boolean;
      /** After a lost COMMIT no connection is made until {@link comeBack}. */
      readonly awayAfter?: boolean;
    } = {},
  ) {
    this.#deps = deps;
    this.#fates = [...fates];
    this.#retryable = retryable;
    this.awayAfter = awayAfter;
  }

  readonly awayAfter: boolean;

  get deps(): BatchDependencies {
    return {
      ...this.#deps,
      clock: leapingClock(),
      openDatabase: (connection) => this.#database(connection),
    };
  }

  comeBack(): void {
    this.#isAway = false;
  }

  #database(connection: BatchConnection): Database {
    const database = this.#deps.openDatabase(connection);
    return {
      kind: database.kind,
      identity: database.identity,
      shown: database.shown,
      dialect: database.dialect,
      connect: async (signal, options) => {
        if (this.#isAway) throw unreachable();
        return this.#session(await database.connect(signal, options));
      },
    };
  }

  #session(session: DatabaseSession): DatabaseSession {
    let isLost = false;
    const commit = async () => {
      const fate = this.#fates.shift();
      if (fate === undefined) return await session.commit();
      if (fate === "done, answer lost") await session.commit();
      if (fate !== "refused") {
        isLost = true;
        this.#isAway = this.awayAfter;
        await session.close();
      }
      throw new FlowError(COMMIT_FAILURE, {
        code: "database_busy",
        domain: "external",
        retryable: this.#retryable,
      });
    };
    return new Proxy(session, {
      get(target, name) {
        if (isLost && name !== "dialect") {
          const isQuiet = name === "close" || name === "rollback";
          return () => isQuiet ? Promise.resolve() : Promise.reject(unreachable());
        }
        if (name === "commit") return commit;
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }
}

function unreachable(): FlowError {
  return new FlowError("the test's server is away", {
    code: "database_unreachable",
    domain: "external",
    retryable: true,
  });
}

/** Sleeping takes no time, and lets it pass all the same. */
function leapingClock(): Clock {
  let leapt = 0;
  return {
    now: () => systemClock.now() + leapt,
    monotonic: () => systemClock.monotonic() + leapt,
    sleep(durationMs, signal) {
      leapt += durationMs;
      return new Promise((resolve, reject) => {
        setTimeout(() => signal?.aborted === true ? reject(signal.reason) : resolve());
      });
    },
  };
}
