import { resolve } from "node:path";

/** What a file holds. `json` is a file of any JSON: an array of objects, objects one after the other, or one a line. */
export type FileFormat = "parquet" | "csv" | "json" | "json_lines";

/** The formats that flow reads and writes. */
export const FILE_FORMATS: readonly FileFormat[] = ["parquet", "csv", "json", "json_lines"];

const BY_EXTENSION: Readonly<Record<string, FileFormat | "orc">> = {
  parquet: "parquet",
  pq: "parquet",
  csv: "csv",
  tsv: "csv",
  json: "json",
  jsonl: "json_lines",
  ndjson: "json_lines",
  orc: "orc",
};

const COMPRESSED = /\.(gz|bz2|zst|lz4|snappy)$/i;

/**
 * The format that a file's name tells, after a `.gz`, `.bz2`, `.zst`, `.lz4` or `.snappy` at its end; `null` for names that tell nothing.
 *
 * @example
 * ```ts
 * formatFromPath("s3://bucket/year=2026/events.csv.gz"); // "csv"
 * formatFromPath("unknown.xml"); // null
 * ```
 */
export function formatFromPath(path: string): FileFormat | "orc" | null {
  const extension = /\.([^./\\]+)$/.exec(path.replace(COMPRESSED, ""))?.[1]?.toLowerCase();
  if (extension === undefined || !Object.hasOwn(BY_EXTENSION, extension)) return null;
  return BY_EXTENSION[extension] ?? null;
}

/** How a file is compressed as a whole. Of `bzip2` only the name is known: such files are not read. */
export type Compression = "none" | "gzip" | "zstd" | "lz4" | "snappy" | "bzip2";

const COMPRESSIONS: Readonly<Record<string, Compression>> = {
  gz: "gzip",
  zst: "zstd",
  lz4: "lz4",
  snappy: "snappy",
  bz2: "bzip2",
};

/** The compression that the file's name tells. */
export function compressionOf(path: string): Compression {
  const extension = COMPRESSED.exec(path)?.[1]?.toLowerCase();
  return extension === undefined ? "none" : COMPRESSIONS[extension] ?? "none";
}

/** A file that is written, or with a slash at its end a folder, for `Source.reads`: however the path is spelled, from the root on. */
export function filePlace(path: string): string {
  const folder = /\/$/.test(path) ? "/" : "";
  return `file ${resolve(path)}${folder}`.replace(/\/{2,}$/, "/");
}
