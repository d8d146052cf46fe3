import { type Batch, type RejectedRows, ROW_COLUMN } from "../../core/batch.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import type { Engine, Session } from "../../core/session.ts";
import { jsonRow } from "../../formats/json_text.ts";
import type { RowCheck } from "../_sql/row_fit.ts";
import type { PostgresConnection } from "./connection.ts";
import { isRowError } from "./postgres_error.ts";
import {
  copyIntoStage,
  copyIntoTable,
  createMergeStage,
  createTextStage,
  insertFindingBadRows,
  insertFromStage,
  stageQuery,
  wireDelimiter,
  wireQuery,
} from "./statements.ts";
import type { WritePlan } from "./write_plan.ts";

/** What writing one batch takes. The connection is in a transaction. */
export interface WriteJob {
  readonly connection: PostgresConnection;
  readonly session: Session;
  readonly engine: Engine;
  readonly plan: WritePlan;
  readonly batch: Batch;
  /** Name of the merge's staging table; one per plan. */
  readonly mergeStage: string;
  /** Bad rows came lately: look for them before the server does. */
  readonly expectBadRows: boolean;
  readonly signal: AbortSignal;
}

const ROW = quoteIdentifier(ROW_COLUMN);
const SLICE_ROWS = 12_288;

/**
 * Writes the batch's rows and returns those that do not fit, each with its reason; the others are in the table (within the
 * transaction). The happy path is one COPY. Only when that fails are rows looked at one by one: first by what the engine can tell, then by the
 * server, which inserts chunks out of a staging table and splits the ones that fail.
 */
export async function writeRows(job: WriteJob): Promise<RejectedRows | undefined> {
  const writer = new RowWriter(job);
  try {
    await writer.write();
    return await writer.rejected();
  } catch (error) {
    await writer.dropRejected();
    throw error;
  } finally {
    await writer.dropNumbered();
  }
}

class RowWriter {
  readonly #job: WriteJob;
  /** The rows that are still to be written: a FROM clause with conditions. */
  #table: string;
  #conditions: string[] = [];
  #numbered: string | undefined;
  #rejected: string | undefined;

  constructor(job: WriteJob) {
    this.#job = job;
    this.#table = quoteIdentifier(job.batch.table);
  }

  async write(): Promise<void> {
    const { connection, plan, expectBadRows } = this.#job;
    await this.#reject(expectBadRows ? [...plan.casts, ...plan.checks] : plan.casts);
    // Then all rows are refused.
    if (plan.columns.length === 0) return;
    // Part of the first statement: an answer of its own would be waited for.
    if (!await this.#loaded("SAVEPOINT flow_batch; ")) {
      const more = !expectBadRows && await this.#reject(plan.checks);
      if (!more || !await this.#loaded()) await this.#writeFindingBadRows();
    }
    await connection.query("RELEASE SAVEPOINT flow_batch");
  }

  /** Takes the rows that meet one of the checks out of the batch; true when there were some. */
  async #reject(checks: readonly RowCheck[]): Promise<boolean> {
    if (checks.length === 0) return false;
    const { session } = this.#job;
    const any = checks.map(({ condition }) => condition).join(" OR ");
    const reason = checks.map(({ condition, reason }) => `WHEN ${condition} THEN ${reason}`);
    // Most batches have none, which is quickly found out.
    const some = await session.rows(`SELECT 1 AS one FROM ${this.#rows([any])} LIMIT 1`);
    if (some.length === 0) return false;
    const found = this.#job.engine.newName("refused");
    await session.run(
      `CREATE TABLE ${found} AS SELECT ${this.#rowIdentity()}, CASE ${
        reason.join(" ")
      } END AS _error ` +
        `FROM ${this.#rows([any])}`,
    );
    if (!await this.#adopt(found)) return false;
    this.#conditions.push(`NOT (${any})`);
    return true;
  }

  /** Adds the table's rows to the rejected ones; false (and dropped) when it is empty. */
  async #adopt(found: string): Promise<boolean> {
    const { session } = this.#job;
    if (await this.#count(found) === 0) {
      await session.run(`DROP TABLE ${found}`);
      return false;
    }
    if (this.#rejected === undefined) {
      this.#rejected = found;
      return true;
    }
    await session.run(`INSERT INTO ${this.#rejected} SELECT * FROM ${found}; DROP TABLE ${found}`);
    return true;
  }

  /** Sends the rows; false (and rolled back to before) when rows are to blame for the failure. */
  async #loaded(before = ""): Promise<boolean> {
    const { connection, session, plan, signal, mergeStage } = this.#job;
    try {
      if (plan.keys.length === 0) {
        const queries = this.#slices().map((rows) => wireQuery(plan, rows));
        const text = session.exportText(queries, "csv", { delimiter: wireDelimiter(plan) });
        await connection.copyIn(before + copyIntoTable(plan), text, signal);
      } else {
        await connection.query(before + createMergeStage(plan, mergeStage));
        const text = session.exportText(this.#stageQuery(), "csv");
        await connection.copyIn(copyIntoStage(plan, mergeStage), text, signal);
        await connection.query(insertFromStage(plan, mergeStage), undefined, signal);
      }
      return true;
    } catch (error) {
      if (!isRowError(error)) throw error;
      await connection.query("ROLLBACK TO SAVEPOINT flow_batch");
      return false;
    }
  }

  async #writeFindingBadRows(): Promise<void> {
    const { connection, session, plan, signal, engine } = this.#job;
    await this.#numberRows();
    const { rows: [server] } = await connection.query<{ encoding: string }>(
      "SELECT current_setting('server_encoding') AS encoding",
    );
    const as = server?.encoding === "UTF8" ? "text" : "hex";
    const stage = engine.newName("_flow_rows");
    const errors = engine.newName("_flow_errors");
    await connection.query(
      `${
        createTextStage(plan, stage)
      }; CREATE TEMP TABLE ${errors} (r bigint, reason text) ON COMMIT DROP`,
    );
    const text = session.exportText(this.#stageQuery(as), "csv");
    await connection.copyIn(copyIntoStage(plan, stage), text, signal);
    await connection.query(`CREATE INDEX ON ${stage} (r)`, undefined, signal);
    await connection.query(insertFindingBadRows(plan, stage, errors, as), undefined, signal);
    const refused = await connection.query<{ r: string; reason: string }>(
      `SELECT r, reason FROM ${errors} ORDER BY r`,
    );
    await connection.query(`DROP TABLE ${stage}, ${errors}`);
    await this.#adoptRefused(refused.rows);
  }

  /** Brings the server's list of bad rows into the engine. */
  async #adoptRefused(refused: readonly { r: string; reason: string }[]): Promise<void> {
    const found = this.#job.engine.newName("refused");
    const list = JSON.stringify(refused);
    await this.#job.session.run(
      `CREATE TABLE ${found} AS SELECT ${this.#rowIdentity("n")}, reason AS _error FROM ` +
        `(SELECT unnest(from_json($1, '[{"r":"BIGINT","reason":"VARCHAR"}]'), recursive := true)) AS refused ` +
        `JOIN ${this.#table} AS n ON n.${ROW} = refused.r`,
      [list],
    );
    await this.#adopt(found);
  }

  /** Rows without a number get one, in a copy of the batch. */
  async #numberRows(): Promise<void> {
    if (this.#job.batch.hasRowColumn) return;
    const numbered = this.#job.engine.newName("numbered");
    this.#numbered = numbered;
    await this.#job.session.run(
      `CREATE TABLE ${numbered} AS SELECT row_number() OVER () - 1 AS ${ROW}, * FROM ${this.#rows()}`,
    );
    this.#table = numbered;
    this.#conditions = [];
  }

  #stageQuery(as: "text" | "hex" = "text"): string {
    const hasNumber = this.#job.batch.hasRowColumn || this.#numbered !== undefined;
    return stageQuery(this.#job.plan, this.#rows(), hasNumber ? ROW : "row_number() OVER ()", as);
  }

  /** The rows in slices of {@link SLICE_ROWS}: one is rendered while the one before it is on its way. */
  #slices(): string[] {
    const { batch } = this.#job;
    if (!batch.hasRowColumn || batch.rows <= SLICE_ROWS) return [this.#rows()];
    const slices = [this.#rows([`${ROW} < ${SLICE_ROWS}`])];
    let from = SLICE_ROWS;
    for (; from + SLICE_ROWS < batch.rows; from += SLICE_ROWS) {
      slices.push(this.#rows([`${ROW} >= ${from} AND ${ROW} < ${from + SLICE_ROWS}`]));
    }
    return [...slices, this.#rows([`${ROW} >= ${from} OR ${ROW} IS NULL`])];
  }

  #rows(more: readonly string[] = []): string {
    const conditions = [...this.#conditions, ...more.map((condition) => `(${condition})`)];
    return conditions.length === 0
      ? this.#table
      : `${this.#table} WHERE ${conditions.join(" AND ")}`;
  }

  /** What tells a rejected row from the others, for whoever gets it. */
  #rowIdentity(relation?: string): string {
    const { batch } = this.#job;
    if (!batch.hasRowColumn) return `${jsonRow(batch.columns, relation)} AS _row_json`;
    return relation === undefined ? ROW : `${relation}.${ROW}`;
  }

  async #count(table: string): Promise<number> {
    const [row] = await this.#job.session.rows<{ n: bigint }>(
      `SELECT count(*) AS n FROM ${table}`,
    );
    return Number(row?.n ?? 0);
  }

  /** The rejected rows, as the sink returns them. */
  async rejected(): Promise<RejectedRows | undefined> {
    if (this.#rejected === undefined) return undefined;
    return {
      table: this.#rejected,
      count: await this.#count(this.#rejected),
      by: this.#job.batch.hasRowColumn ? "row_number" : "row_json",
    };
  }

  async dropRejected(): Promise<void> {
    if (this.#rejected === undefined) return;
    await this.#job.session.run(`DROP TABLE IF EXISTS ${this.#rejected}`).catch(() => {});
  }

  async dropNumbered(): Promise<void> {
    if (this.#numbered === undefined) return;
    await this.#job.session.run(`DROP TABLE IF EXISTS ${this.#numbered}`).catch(() => {});
  }
}
