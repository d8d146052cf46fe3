import { resolve } from "node:path";
import { FlowError } from "../../core/error.ts";

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

/** How a file is compressed as a whole. */
export type Compression = "none" | "gzip" | "zstd";

/** The compression that the file's name tells. Throws `file_compression_unsupported` for those that flow does not read. */
export function compressionOf(path: string): Compression {
  const extension = COMPRESSED.exec(path)?.[1]?.toLowerCase();
  switch (extension) {
    case undefined:
      return "none";
    case "gz":
      return "gzip";
    case "zst":
      return "zstd";
    default:
      throw new FlowError(`cannot read '${path}': .${extension} files are not supported`, {
        code: "file_compression_unsupported",
        domain: "user",
        hint: "compress with gzip (.gz) or zstd (.zst)",
        details: { file: path },
      });
  }
}

/** A file that is written, or with a slash at its end a folder, for `Source.reads`: however the path is spelled, from the root on. */
export function filePlace(path: string): string {
  const folder = /\/$/.test(path) ? "/" : "";
  return `file ${resolve(path)}${folder}`.replace(/\/{2,}$/, "/");
}
