import { type Batch, type RejectedRows, ROW_COLUMN } from "../../core/batch.ts";
import { FlowError } from "../../core/error.ts";
import type { StoredOffset } from "../../core/offset.ts";
import {
  type Column,
  quoteIdentifier,
  quoteLiteral,
  type TargetColumn,
} from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import type { Sink, SinkContext, SinkTraits } from "../../core/sink.ts";
import type { RowCheck } from "../_sql/row_fit.ts";
import { jsonRow } from "../../formats/json_text.ts";
import { DurableFile, uuidV7 } from "./durable_file.ts";
import { type FileFormat, filePlace } from "./file_format.ts";
import type { TargetOptions } from "./options.ts";
import {
  csvHeader,
  csvLineQuery,
  csvQuery,
  folderExpression,
  jsonQuery,
  longFolders,
  longIntegers,
  parquetQuery,
} from "./sink_query.ts";

const EXTENSIONS: Readonly<Record<FileFormat, string>> = {
  parquet: "parquet",
  csv: "csv",
  json: "jsonl",
  json_lines: "jsonl",
};

/** Formats in which a row without any field is a row: `{}`. */
const KEEPS_BARE_ROWS: ReadonlySet<FileFormat> = new Set(["json", "json_lines"]);

/** More folders than this in one batch are a mistake in `partition_by`, such as a key. */
const MAX_FOLDERS = 1000;

/**
 * Writes each batch as a new file `prefix/<uuidv7>.parquet|csv|jsonl`. Files appear whole and durable, but there is no
 * transaction: after a crash rows may come again in another file (at least once). `json` and `json_lines` both write one object a line.
 */
export class FileSink implements Sink {
  readonly targetId: string;
  readonly place: string;
  readonly traits: SinkTraits;
  readonly #options: TargetOptions;
  readonly #format: FileFormat;
  readonly #folder: string;
  #context: SinkContext | undefined;
  #unfinished: DurableFile[] = [];

  constructor(options: TargetOptions) {
    this.#options = options;
    this.#format = options.format ?? "parquet";
    const base = options.path.replace(/(?<=.)\/+$/, "");
    const prefix = options.prefix.replace(/\/+$/, "");
    this.#folder = prefix === "" ? base : `${base}/${prefix}`;
    this.targetId = `object_store_local:${this.#folder}`;
    this.place = filePlace(`${this.#folder}/rows.${EXTENSIONS[this.#format]}`);
    this.traits = {
      transactional: false,
      modes: ["append"],
      hasSchema: false,
      keepsText: this.#format !== "parquet",
    };
  }

  async open(context: SinkContext, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#context = context;
    // Told now rather than with the first batch: a directory that cannot be written.
    const probe = await DurableFile.create(this.#folder, `${uuidV7(context.clock.now())}.probe`);
    await probe.discard();
  }

  columns(): Promise<readonly TargetColumn[] | undefined> {
    return Promise.resolve(undefined);
  }

  storedOffsets(): Promise<readonly StoredOffset[]> {
    return Promise.resolve([]);
  }

  begin(): Promise<void> {
    return Promise.resolve();
  }

  async write(
    batch: Batch,
    session: Session,
    signal: AbortSignal,
  ): Promise<RejectedRows | undefined> {
    if (batch.rows === 0) return undefined;
    const { partition_by } = this.#options;
    const folderColumns = partition_by.map((name) => this.#column(batch, name));
    const columns = batch.columns.filter(({ name }) => !partition_by.includes(name));
    if (columns.length === 0 && !KEEPS_BARE_ROWS.has(this.#format)) {
      return await this.#rejectBare(batch, session);
    }
    const rejected = await this.#rejectUnfit(batch, [
      ...longFolders(folderColumns),
      ...(this.#format === "parquet" ? longIntegers(columns) : []),
    ], session);
    const conditions = rejected === undefined ? [] : [`NOT ${rejected.condition}`];
    const files: DurableFile[] = [];
    for (const folder of await this.#folders(batch, folderColumns, conditions, session)) {
      signal.throwIfAborted();
      files.push(await this.#writeFile(batch, columns, folder, conditions, session));
    }
    for (const file of files) await file.publish();
    this.#unfinished = [];
    return rejected?.rows;
  }

  commit(): Promise<void> {
    return Promise.resolve();
  }

  async abort(): Promise<void> {
    for (const file of this.#unfinished.splice(0)) await file.discard();
  }

  async close(): Promise<void> {
    await this.abort();
  }

  /** Refuses all rows: a file of this format would have no column. */
  async #rejectBare(batch: Batch, session: Session): Promise<RejectedRows> {
    const reason = batch.columns.length === 0
      ? `the row has no fields, which ${this.#format} cannot hold`
      : "partition_by leaves no column for the file";
    const table = this.#context?.engine.newName("rejected") ?? "rejected";
    await session.run(
      `CREATE TABLE ${quoteIdentifier(table)} AS SELECT ${quoteLiteral(reason)} AS _error, ` +
        `${rejectionKey(batch)} FROM ${quoteIdentifier(batch.table)}`,
    );
    return { table, count: batch.rows, by: batch.hasRowColumn ? "row_number" : "row_json" };
  }

  #column(batch: Batch, name: string): Column {
    const column = batch.columns.find((candidate) => candidate.name === name);
    if (column !== undefined) return column;
    throw new FlowError(`cannot write to '${this.targetId}': the rows have no column '${name}'`, {
      code: "target_column_unknown",
      domain: "user",
      hint: `partition_by may name: ${batch.columns.map((c) => c.name).join(", ")}`,
      details: { column: name },
    });
  }

  /** The folders of the batch's rows, with the condition that finds the rows of each. */
  async #folders(
    batch: Batch,
    columns: readonly Column[],
    conditions: readonly string[],
    session: Session,
  ): Promise<{ readonly path: string; readonly conditions: readonly string[] }[]> {
    if (columns.length === 0) return [{ path: this.#folder, conditions }];
    const folder = folderExpression(columns);
    const rows = await session.rows<{ folder: string }>(
      `SELECT DISTINCT ${folder} AS folder FROM ${quoteIdentifier(batch.table)}` +
        `${whereOf(conditions)} ORDER BY folder LIMIT ${MAX_FOLDERS + 1}`,
    );
    if (rows.length > MAX_FOLDERS) {
      throw new FlowError(
        `cannot write to '${this.targetId}': partition_by makes more than ${MAX_FOLDERS} folders of one batch`,
        {
          code: "target_partitions_too_many",
          domain: "user",
          hint: "partition by columns with few values, such as a day",
        },
      );
    }
    return rows.map((row) => ({
      path: `${this.#folder}/${row.folder}`,
      conditions: [...conditions, `(${folder}) = ${quoteLiteral(row.folder)}`],
    }));
  }

  async #writeFile(
    batch: Batch,
    columns: readonly Column[],
    folder: { readonly path: string; readonly conditions: readonly string[] },
    conditions: readonly string[],
    session: Session,
  ): Promise<DurableFile> {
    const now = this.#context?.clock.now() ?? Date.now();
    const file = await DurableFile.create(
      folder.path,
      `${uuidV7(now)}.${EXTENSIONS[this.#format]}`,
    );
    this.#unfinished.push(file);
    const where = whereOf(folder.conditions.length > 0 ? folder.conditions : conditions);
    if (this.#format === "parquet") {
      const exported = await session.exportParquet(
        parquetQuery(batch, columns, where),
        this.#options.parquet_compression ?? "snappy",
      );
      try {
        await file.writeFrom(exported);
      } finally {
        await Deno.remove(exported);
      }
    } else if (this.#format === "csv") {
      await this.#writeCsv(file, batch, columns, where, session);
    } else {
      const query = jsonQuery(batch, columns, where);
      for await (const bytes of session.exportText(query, "ndjson")) await file.write(bytes);
    }
    await file.finish();
    return file;
  }

  async #writeCsv(
    file: DurableFile,
    batch: Batch,
    columns: readonly Column[],
    where: string,
    session: Session,
  ): Promise<void> {
    const { csv_delimiter, csv_header, csv_quote, csv_escape, csv_null_value } = this.#options;
    const header = csv_header ?? true;
    const delimiter = csv_delimiter ?? ",";
    if (csv_quote === undefined && csv_escape === undefined && csv_null_value === undefined) {
      const query = csvQuery(batch, columns, where);
      for await (const bytes of session.exportText(query, "csv", { header, delimiter })) {
        await file.write(bytes);
      }
      return;
    }
    const quote = csv_quote ?? '"';
    const dialect = {
      delimiter,
      quote,
      escape: csv_escape ?? quote,
      nullText: csv_null_value ?? "",
    };
    if (header) await file.write(new TextEncoder().encode(csvHeader(columns, dialect)));
    const query = csvLineQuery(batch, columns, where, dialect);
    for await (const bytes of session.exportText(query, "ndjson")) await file.write(bytes);
  }

  /** The rows that one of the checks refuses, and the condition that finds them; `undefined` when there are none. */
  async #rejectUnfit(
    batch: Batch,
    checks: readonly RowCheck[],
    session: Session,
  ): Promise<{ readonly condition: string; readonly rows: RejectedRows } | undefined> {
    if (checks.length === 0) return undefined;
    const condition = `(${checks.map((check) => check.condition).join(" OR ")})`;
    const source = quoteIdentifier(batch.table);
    const [found] = await session.rows<{ n: bigint }>(
      `SELECT count(*) AS n FROM ${source} WHERE ${condition}`,
    );
    const count = Number(found?.n ?? 0n);
    if (count === 0) return undefined;
    const cases = checks.map(({ condition, reason }) => `WHEN ${condition} THEN ${reason}`);
    const table = this.#context?.engine.newName("rejected") ?? "rejected";
    await session.run(
      `CREATE TABLE ${quoteIdentifier(table)} AS SELECT CASE ${cases.join(" ")} END AS _error, ${
        rejectionKey(batch)
      } ` +
        `FROM ${source} WHERE ${condition}`,
    );
    return {
      condition,
      rows: { table, count, by: batch.hasRowColumn ? "row_number" : "row_json" },
    };
  }
}

function whereOf(conditions: readonly string[]): string {
  return conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
}

/** What tells a refused row: its number, or the row itself. */
function rejectionKey(batch: Batch): string {
  if (batch.hasRowColumn) return quoteIdentifier(ROW_COLUMN);
  return batch.columns.length === 0
    ? "'{}' AS _row_json"
    : `${jsonRow(batch.columns)} AS _row_json`;
}
