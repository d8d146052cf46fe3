import type { Engine, Session } from "../../core/session.ts";
import { CsvFileReader } from "./csv_file.ts";
import { JsonFileReader, jsonLayout } from "./json_file.ts";
import { csvReadOptions, type SourceOptions } from "./options.ts";
import { ParquetFileReader } from "./parquet_file.ts";
import type { TableFileReader } from "./table_file.ts";
import type { TrackedFile } from "./tracked_file.ts";

/** The file that is being read, open at its position. */
export type OpenFile =
  | { readonly kind: "json"; readonly file: TrackedFile; readonly reader: JsonFileReader }
  | { readonly kind: "table"; readonly file: TrackedFile; readonly reader: TableFileReader };

/**
 * Opens a file at its position with the reader of its format.
 *
 * @throws BrokenFileError when it is no file of its format
 * @throws FlowError `file_unreadable`
 */
export async function openFile(
  file: TrackedFile,
  engine: Engine,
  session: Session,
  options: SourceOptions,
): Promise<OpenFile> {
  const { realPath } = file.found;
  const { path, compression, position } = file;
  if (file.format === "csv") {
    const csv = { realPath, path, compression, options: csvReadOptions(options) };
    const reader = await CsvFileReader.open(engine, session, csv, position);
    return { kind: "table", file, reader };
  }
  if (file.format === "parquet") {
    const reader = await ParquetFileReader.open(engine, session, realPath, path, position);
    return { kind: "table", file, reader };
  }
  file.layout ??= await jsonLayout(realPath, compression);
  const reader = await JsonFileReader.open(
    realPath,
    compression,
    file.layout,
    position,
    file.found.size,
  );
  return { kind: "json", file, reader };
}
