import type { Connector } from "../../core/connector.ts";
import { FlowError } from "../../core/error.ts";
import { fileError } from "./byte_stream.ts";
import { FileDeadLetters } from "./dead_letters.ts";
import { parsePattern } from "./glob.ts";
import {
  checkFormatOptions,
  connectionOptions,
  type SourceOptions,
  sourceOptions,
  type TargetOptions,
  targetOptions,
} from "./options.ts";
import { FileSink } from "./sink.ts";
import { FileSource } from "./source.ts";

export { formatFromPath } from "./file_format.ts";

/** Files in a directory of this machine: newline JSON, JSON arrays, CSV and Parquet. */
export const objectStoreLocalConnector: Connector = {
  kind: "object_store_local",
  connectionOptions,
  sourceOptions,
  targetOptions,

  createSource({ sourceId, query, options }) {
    // Validated by the entries above.
    const typed = options as unknown as SourceOptions;
    checkFormatOptions(typed, typed.format);
    parsePattern(query);
    return new FileSource(sourceId, query, typed);
  },

  createSink({ options, mode }) {
    const typed = options as unknown as TargetOptions;
    if (mode === "merge") {
      throw new FlowError('object_store_local cannot be a target with mode = "merge"', {
        code: "definition_invalid",
        domain: "user",
        hint: 'files are written once: use mode = "append", or a database as the target',
      });
    }
    checkFormatOptions(typed, typed.format ?? "parquet");
    return new FileSink(typed);
  },

  createDeadLetters(_options, destination) {
    return new FileDeadLetters(destination);
  },

  async check(options) {
    const path = String(options["path"]);
    try {
      const info = await Deno.stat(path);
      if (info.isDirectory) return { detail: `directory ${path}` };
    } catch (error) {
      throw fileError(path, error);
    }
    throw new FlowError(`cannot use '${path}': it is not a directory`, {
      code: "file_unreadable",
      domain: "user",
      hint: "path names the base directory; files are chosen by the query",
    });
  },
};
