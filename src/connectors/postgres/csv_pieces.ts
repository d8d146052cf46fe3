import type { RelationPiece } from "../../core/database.ts";
import { FlowError } from "../../core/error.ts";
import { type Column, quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { Engine } from "../../core/session.ts";
import type { BoundQuery } from "./bound_query.ts";
import { engineColumn, typeName } from "./column_types.ts";
import type { CopyPart } from "./copy_out.ts";
import type { PreparedColumn } from "./preparation.ts";

const PIECE_BYTES = 8 << 20;
/** Parts of the socket's size are gathered before they are written. */
const WRITE_BYTES = 1 << 20;
/** What the engine expects of a line unless told. */
const MIN_LINE_BYTES = 2 << 20;
/** Stands for NULL, unquoted; a text of these characters comes quoted. */
const NULL_MARK = "\\N";

/** The query of a COPY with every value in a form that survives the way, its columns named `c1`, `c2` …. */
function portableQuery(query: BoundQuery): string {
  const values = query.columns.map((column, at) => portableValue(`c${at + 1}`, column));
  const names = query.columns.map((_, at) => `c${at + 1}`);
  return `SELECT ${values.join(", ")} FROM (${query.sql}\n) AS q (${names.join(", ")})`;
}

function portableValue(name: string, { dataTypeID }: PreparedColumn): string {
  switch (typeName(dataTypeID)) {
    case "bpchar":
      // The blanks at the end of a char(n) do not belong to the value.
      return `CAST(${name} AS text)`;
    case "date":
      return withEra(name, "0001-01-01");
    case "timestamp":
    case "timestamptz":
      return withEra(name, "0001-01-01 00:00:00+00");
    case "interval":
      return intervalText(name);
    default:
      return name;
  }
}

/** The engine takes `0044-03-15 BC` for a day after Christ; it writes and reads `0044-03-15 (BC)`. */
function withEra(name: string, first: string): string {
  return `CASE WHEN ${name} >= '${first}' THEN CAST(${name} AS text) ` +
    `ELSE regexp_replace(CAST(${name} AS text), '^(\\S+)(.*) BC$', '\\1 (BC)\\2') END`;
}

/** Both keep months, days and microseconds; their texts differ. */
function intervalText(name: string): string {
  const part = (field: string) => `CAST(extract(${field} FROM ${name}) AS bigint)`;
  const micros = `${part("hour")} * 3600000000 + ${part("minute")} * 60000000 + ${
    part("microseconds")
  }`;
  return `${part("year")} * 12 + ${part("month")} || ' months ' || ${part("day")} || ' days ' || ` +
    `(${micros}) || ' microseconds'`;
}

/** `COPY … TO STDOUT` of the query as the pieces of {@link csvPieces} take it. */
export function copyAsCsv(query: BoundQuery): string {
  // A line of one column must not be empty: the engine leaves such lines out.
  const quoting = query.columns.length === 1 ? ", FORCE_QUOTE *" : "";
  return `COPY (${
    portableQuery(query)
  }) TO STDOUT (FORMAT csv, NULL '${NULL_MARK}'${quoting}, ENCODING 'UTF8')`;
}

/** Writes the rows into files of about {@link PIECE_BYTES}; the next one is made when it is asked for. */
export async function* csvPieces(
  parts: AsyncIterable<CopyPart>,
  columns: readonly PreparedColumn[],
  engine: Engine,
): AsyncGenerator<RelationPiece> {
  const described = distinctColumns(columns.map(engineColumn));
  let file: CsvFile | undefined;
  try {
    for await (const part of parts) {
      file ??= new CsvFile(`${engine.scratchDir}/${engine.newName("postgres")}.csv`);
      await file.write(part);
      if (file.bytes < PIECE_BYTES) continue;
      const piece = await file.finish(described);
      file = undefined;
      yield piece;
    }
    if (file === undefined) return;
    const last = await file.finish(described);
    file = undefined;
    yield last;
  } finally {
    await file?.remove();
  }
}

/** @throws FlowError `query_invalid`: in the engine a relation's columns have names of their own. */
function distinctColumns(columns: readonly Column[]): readonly Column[] {
  const seen = new Set<string>();
  for (const { name } of columns) {
    if (seen.has(name.toLowerCase())) {
      throw new FlowError(`the query gives two columns of the name "${name}"`, {
        code: "query_invalid",
        domain: "user",
        hint: `give one of them another name: … AS ${quoteIdentifier(`${name}_2`)}`,
        details: { column: name },
      });
    }
    seen.add(name.toLowerCase());
  }
  return columns;
}

class CsvFile {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #gathered = new Uint8Array(WRITE_BYTES);
  #gatheredBytes = 0;
  #rows = 0;
  #longestRow = 0;
  #isOpen = true;
  bytes = 0;

  constructor(path: string) {
    this.#path = path;
    this.#file = Deno.openSync(path, { write: true, createNew: true });
  }

  async write({ bytes, rows, longestRow }: CopyPart): Promise<void> {
    this.bytes += bytes.length;
    this.#rows += rows;
    if (longestRow > this.#longestRow) this.#longestRow = longestRow;
    if (this.#gatheredBytes + bytes.length > WRITE_BYTES) await this.#flush();
    if (bytes.length > WRITE_BYTES) return await this.#writeAll(bytes);
    this.#gathered.set(bytes, this.#gatheredBytes);
    this.#gatheredBytes += bytes.length;
  }

  async finish(columns: readonly Column[]): Promise<RelationPiece> {
    await this.#flush();
    this.#close();
    return {
      relation: csvRelation(this.#path, columns, this.#longestRow),
      rows: this.#rows,
      release: () => this.remove(),
    };
  }

  async remove(): Promise<void> {
    this.#close();
    await Deno.remove(this.#path);
  }

  async #flush(): Promise<void> {
    await this.#writeAll(this.#gathered.subarray(0, this.#gatheredBytes));
    this.#gatheredBytes = 0;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    let left = bytes;
    while (left.length > 0) left = left.subarray(await this.#file.write(left));
  }

  #close(): void {
    if (this.#isOpen) this.#file.close();
    this.#isOpen = false;
  }
}

/**
 * What the engine selects from. One thread reads a file: it is as quick (the server is the slower one), and line breaks within quotes
 * cannot be misread where threads meet.
 */
function csvRelation(path: string, columns: readonly Column[], longestRow: number): string {
  // By their own names, which the engine tells of a value that it cannot read.
  const types = columns.map(({ name, type }) =>
    `${quoteLiteral(name)}: ${quoteLiteral(type === "BLOB" ? "VARCHAR" : type)}`
  );
  const values = columns.map(({ name, type }) => {
    const read = quoteIdentifier(name);
    return `${type === "BLOB" ? `unhex(substr(${read}, 3))` : read} AS ${read}`;
  });
  const line = longestRow < MIN_LINE_BYTES
    ? ""
    : `, max_line_size = ${longestRow + 1}, buffer_size = ${2 * longestRow + 2}`;
  return `(SELECT ${values.join(", ")} FROM read_csv(${quoteLiteral(path)}, auto_detect = false, ` +
    `header = false, delim = ',', quote = '"', escape = '"', new_line = '\\n', ` +
    `nullstr = '${NULL_MARK}', allow_quoted_nulls = false, parallel = false, ` +
    `columns = {${types.join(", ")}}${line}))`;
}
