import { FlowError } from "../../core/error.ts";
import type { Session } from "../../core/session.ts";
import { type DuckdbFile, type DuckdbFileRequest, openDuckdbFile } from "../../sql/duckdb_file.ts";
import { removeFile } from "../../sql/remove_file.ts";

/** A step of an epoch: statements on the file, which must give the same when they are run again from the same start. */
export type Step = (session: Session) => Promise<void>;

/**
 * The transaction of one epoch, with the file open only as long as it lasts. DuckDB has no savepoints, and any error ends a transaction:
 * so the steps that worked are kept, and run again when a later one has broken a rule of the table.
 */
export class Epoch {
  readonly #file: DuckdbFile;
  readonly session: Session;
  /** A second connection, for attaching what the engine has staged: that is no part of the transaction. */
  readonly #side: Session;
  readonly #steps: Step[] = [];
  readonly #staged = new Map<string, string>();

  private constructor(file: DuckdbFile, session: Session, side: Session) {
    this.#file = file;
    this.session = session;
    this.#side = side;
  }

  /** Opens the file, makes it where it is missing, and begins. */
  static async begin(request: DuckdbFileRequest): Promise<Epoch> {
    const file = await openDuckdbFile(request);
    try {
      const session = await file.connect();
      const side = await file.connect();
      await file.memory.forLoading(session);
      await session.run("BEGIN TRANSACTION");
      return new Epoch(file, session, side);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Makes a database file of the scratch directory readable under `name` until the epoch ends, then removes it. */
  async attach(name: string, path: string): Promise<void> {
    this.#staged.set(name, path);
    await this.#side.run(`ATTACH '${path.replaceAll("'", "''")}' AS ${name} (READ_ONLY)`);
  }

  /**
   * Runs a step as part of the epoch. When it breaks a rule of the table ({@link breaksConstraint}), the epoch stands as it did before the
   * step, and the error is thrown.
   */
  async apply(step: Step): Promise<void> {
    try {
      await step(this.session);
    } catch (error) {
      if (breaksConstraint(error)) await this.#restart();
      throw error;
    }
    this.#steps.push(step);
  }

  /** Commits. The file stays open until {@link end}. */
  async commit(): Promise<void> {
    await this.session.run("COMMIT");
  }

  /** Ends the epoch: what is not committed is gone, the file is closed. */
  async end(): Promise<void> {
    try {
      await this.session.close();
    } finally {
      await this.#file.close();
      for (const path of this.#staged.values()) await removeDatabase(path);
      this.#staged.clear();
    }
  }

  async #restart(): Promise<void> {
    await this.session.run("ROLLBACK");
    await this.session.run("BEGIN TRANSACTION");
    for (const step of this.#steps) await step(this.session);
  }
}

/** True for errors by which DuckDB says that rows break a rule of the table. */
export function breaksConstraint(error: unknown): error is FlowError {
  return error instanceof FlowError && error.message.startsWith("Constraint Error");
}

/** Removes a database file of the scratch directory with its log. */
export async function removeDatabase(path: string): Promise<void> {
  for (const part of [path, `${path}.wal`]) await removeFile(part);
}
