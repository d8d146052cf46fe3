import { type Batch, type RejectedRows, ROW_COLUMN } from "../core/batch.ts";
import { FlowError } from "../core/error.ts";
import { type Column, METADATA_COLUMNS, METADATA_TYPES, quoteIdentifier } from "../core/schema.ts";
import type { Engine, Session } from "../core/session.ts";
import { type SourceStatement, sourceStatement } from "../sql/row_lineage.ts";
import { withoutStatement } from "../sql/sql_error.ts";
import { FailingRows, withoutRowsOf } from "./failing_rows.ts";

/** What the transform made of a batch. The caller drops the tables. */
export interface Transformed {
  readonly batch: Batch;
  readonly rejected?: RejectedRows;
}

/**
 * The SQL stage: `transform.sql` over the relation `source`. Stateless: each batch is transformed by itself.
 *
 * Rows keep their number through it as long as the statement maps rows to rows; the plan is made again whenever the columns change.
 * When the statement fails on data, the rows that make it fail are found and returned; the others are transformed.
 */
export class SqlTransform {
  readonly #engine: Engine;
  readonly #session: Session;
  readonly #sql: string;
  /** The statement as it runs. Found out once. */
  #statement: SourceStatement | undefined;
  /** Columns of the other sources of a fan-in: there as NULL where a source lacks them. */
  readonly #otherColumns: () => readonly Column[];
  readonly #mayMiss: () => boolean;
  readonly #keepsOthers: boolean;

  constructor(
    engine: Engine,
    session: Session,
    sql: string,
    options: {
      /** Columns that other sources are known to have. */
      readonly otherColumns: () => readonly Column[];
      /** True while a source of a fan-in has not been seen yet: a column that is missing may still come, and is NULL until then. */
      readonly mayMiss: () => boolean;
      /** False when a row on which the statement fails ends the run: then the first one is all that is looked for. */
      readonly keepsOthers: boolean;
    },
  ) {
    this.#engine = engine;
    this.#session = session;
    this.#sql = sql.trim().replace(/;+\s*$/, "");
    this.#otherColumns = options.otherColumns;
    this.#mayMiss = options.mayMiss;
    this.#keepsOthers = options.keepsOthers;
  }

  /** Transforms one decoded batch; does not drop it. */
  async apply(input: Batch): Promise<Transformed> {
    this.#statement ??= await sourceStatement(this.#session, this.#sql);
    const numbered = input.hasRowColumn ? this.#statement.numbered : undefined;
    const statement = numbered ?? this.#statement.plain;
    const view = await this.#bindableView(input, statement, numbered !== undefined);
    const output = this.#engine.newName("transformed");
    let rejected: RejectedRows | undefined;
    try {
      await this.#run(view, output, statement, "");
    } catch (error) {
      if (!isDataError(error) || !input.hasRowColumn) throw asTransformFailure(error);
      const search = new FailingRows(this.#session, {
        newName: (prefix) => this.#engine.newName(prefix),
        table: input.table,
        suspects: numbered === undefined ? undefined : this.#statement.suspects,
        see: (where) => this.#createView(view, where),
        run: (into, where) => this.#run(view, into, statement, where),
        isDataError,
      });
      rejected = this.#keepsOthers ? await search.all() : await search.first();
      // Of a batch that ends the run with the row found, nothing is written.
      const others = this.#keepsOthers || rejected.count === 0
        ? withoutRowsOf(rejected.table)
        : "false";
      try {
        await this.#run(view, output, statement, `WHERE ${others}`);
      } catch (again) {
        // It fails on rows together of which each one passes: a subquery that gives several, memory that does not suffice.
        throw asTransformFailure(again);
      }
    }
    const columns = (await this.#session.describe(`SELECT * FROM ${quoteIdentifier(output)}`))
      .filter((column) => column.name !== ROW_COLUMN);
    const counted = await this.#session.rows<{ n: bigint }>(
      `SELECT count(*) AS n FROM ${quoteIdentifier(output)}`,
    );
    const batch: Batch = {
      table: output,
      columns,
      hasRowColumn: numbered !== undefined,
      rows: Number(counted[0]?.n ?? 0n),
    };
    return rejected === undefined ? { batch } : { batch, rejected };
  }

  /** The select list of the view `source`, extended by NULL columns until the statement binds. */
  async #bindableView(input: Batch, statement: string, numbered: boolean): Promise<SourceView> {
    const own = new Set(input.columns.map((column) => column.name.toLowerCase()));
    const padded = new Map<string, string>();
    for (const column of this.#otherColumns()) {
      const key = column.name.toLowerCase();
      if (!own.has(key) && !padded.has(key)) {
        padded.set(key, `NULL::${column.type} AS ${quoteIdentifier(column.name)}`);
      }
    }
    for (;;) {
      const view: SourceView = {
        table: input.table,
        select: [
          ...input.columns.map((column) => quoteIdentifier(column.name)),
          ...padded.values(),
          ...METADATA_COLUMNS.filter((name) => !own.has(name)).map((name) =>
            `NULL::${METADATA_TYPES[name]} AS ${name}`
          ),
          ...(numbered ? [ROW_COLUMN] : []),
        ].join(", "),
      };
      try {
        await this.#createView(view, "");
        await this.#session.describe(statement);
        return view;
      } catch (error) {
        const missing = missingColumn(error);
        if (missing === undefined || padded.has(missing.toLowerCase()) || !this.#mayMiss()) {
          throw asTransformError(error, missing);
        }
        padded.set(missing.toLowerCase(), `NULL AS ${quoteIdentifier(missing)}`);
      }
    }
  }

  #createView(view: SourceView, where: string): Promise<void> {
    return this.#session.run(
      `CREATE OR REPLACE TEMP VIEW source AS SELECT ${view.select} FROM ${
        quoteIdentifier(view.table)
      } ${where}`,
    );
  }

  async #run(view: SourceView, output: string, statement: string, where: string): Promise<void> {
    await this.#createView(view, where);
    await this.#session.run(`CREATE TABLE ${quoteIdentifier(output)} AS ${statement}`);
  }
}

interface SourceView {
  readonly table: string;
  readonly select: string;
}

const MISSING_COLUMN = [
  /Referenced column "([^"]+)" not found/,
  // An alias of the same name hides that the column is missing.
  /Column "([^"]+)" referenced that exists in the SELECT clause/,
  /does not have a column named "([^"]+)"/,
];

/**
 * True for an error of a statement that has been bound before, and so is one of the data. The engine calls much of that invalid input, as
 * it does with statements: a text that `strptime` cannot read, `error()`, JSON that is none.
 */
function isDataError(error: unknown): error is FlowError {
  return error instanceof FlowError && DATA_ERRORS.has(error.code);
}

const DATA_ERRORS: ReadonlySet<string> = new Set([
  "sql_failed",
  "sql_invalid",
  "sql_out_of_memory",
]);

function asTransformFailure(error: unknown): unknown {
  if (!isDataError(error) || error.code === "sql_out_of_memory") return error;
  return new FlowError(`transform.sql fails on a batch: ${withoutStatement(error.message)}`, {
    code: "transform_failed",
    domain: "user",
    hint: "no row does so by itself: look at what takes several of them, such as a subquery",
    cause: error,
  });
}

function missingColumn(error: unknown): string | undefined {
  if (!(error instanceof FlowError) || error.code !== "sql_invalid") return undefined;
  for (const pattern of MISSING_COLUMN) {
    const found = pattern.exec(error.message)?.[1];
    if (found !== undefined) return found;
  }
  return undefined;
}

function asTransformError(error: unknown, missing: string | undefined): unknown {
  if (!(error instanceof FlowError) || error.code !== "sql_invalid") return error;
  const reason = withoutStatement(error.message);
  return new FlowError(`transform.sql does not fit the relation \`source\`: ${reason}`, {
    code: "transform_invalid",
    domain: "user",
    hint: missing === undefined
      ? "the relation `source` has the payload's fields and _event_ts, _partition, _offset, _key, _headers"
      : `no row so far has a field '${missing}'; if it comes later, declare it: [source.columns] ` +
        `${missing} = "VARCHAR" (or its own type)`,
    cause: error,
  });
}
