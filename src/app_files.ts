import { fileError } from "./connectors/object_store_local/byte_stream.ts";
import {
  compressionOf,
  type FileFormat,
  formatFromPath,
} from "./connectors/object_store_local/file_format.ts";
import { FlowError } from "./core/error.ts";
import { quoteIdentifier, quoteLiteral } from "./core/schema.ts";
import type { Engine, Session } from "./core/session.ts";
import { withoutStatement } from "./sql/sql_error.ts";

/** A file that SQL is to see as a relation. */
export interface FileRelation {
  /** The name of the relation. */
  readonly name: string;
  readonly path: string;
  /** What its name tells, unless given. */
  readonly format?: FileFormat;
}

const ENDINGS: Readonly<Record<FileFormat, string>> = {
  parquet: "parquet",
  csv: "csv",
  json: "json",
  json_lines: "jsonl",
};

/**
 * Makes a file a relation of the engine. SQL reaches the scratch directory only, so the file gets a name there, under the permissions that
 * flow itself has: a hard link where that can be, a copy elsewhere.
 *
 * @throws FlowError `file_unreadable`, `permission_denied`, `file_format_unknown`, `file_compression_unsupported`.
 */
export async function registerFile(
  engine: Engine,
  session: Session,
  { name, path, format = formatOf(path) }: FileRelation,
): Promise<void> {
  const suffix = suffixOf(path);
  const placed = `${engine.scratchDir}/${engine.newName("file")}.${ENDINGS[format]}${suffix}`;
  await place(path, placed);
  try {
    await session.run(
      `CREATE OR REPLACE VIEW ${quoteIdentifier(name)} AS SELECT * FROM ${reader(format, placed)}`,
    );
  } catch (error) {
    await Deno.remove(placed);
    if (!(error instanceof FlowError) || !error.code.startsWith("sql_")) throw error;
    throw fileError(path, new Error(withoutStatement(error.message).replaceAll(placed, path)));
  }
}

/** How the name of a compressed file ends, for those that the engine reads. */
function suffixOf(path: string): string {
  const compression = compressionOf(path);
  if (compression === "none") return "";
  if (compression === "gzip") return ".gz";
  if (compression === "zstd") return ".zst";
  throw new FlowError(`cannot read '${path}': ${compression} is not supported here`, {
    code: "file_compression_unsupported",
    domain: "user",
    hint: "compress with gzip (.gz) or zstd (.zst)",
    details: { file: path },
  });
}

async function place(path: string, placed: string): Promise<void> {
  try {
    // A link to a link would stay one, and the engine follows none.
    const real = await Deno.realPath(path);
    if (await linked(real, placed)) return;
    await Deno.copyFile(real, placed);
  } catch (error) {
    throw fileError(path, error);
  }
}

/** False where a link cannot be made: another disk, a file system without links, or no permission to write beside the file. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await Deno.link(from, to);
    return true;
  } catch {
    return false;
  }
}

function reader(format: FileFormat, path: string): string {
  const file = quoteLiteral(path);
  switch (format) {
    case "parquet":
      return `read_parquet(${file})`;
    case "csv":
      return `read_csv(${file})`;
    case "json":
      return `read_json(${file})`;
    case "json_lines":
      return `read_json(${file}, format = 'newline_delimited')`;
  }
}

function formatOf(path: string): FileFormat {
  const format = formatFromPath(path);
  if (format !== null && format !== "orc") return format;
  throw new FlowError(`cannot tell the format of '${path}' by its name`, {
    code: "file_format_unknown",
    domain: "user",
    hint: "name it .parquet, .csv, .tsv, .json, .jsonl or .ndjson (and .gz or .zst after it)",
    details: { file: path },
  });
}
