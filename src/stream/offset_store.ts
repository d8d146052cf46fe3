import { FlowError } from "../core/error.ts";
import type { OffsetRange, StoredOffset } from "../core/offset.ts";
import { partitionKey } from "../core/offset.ts";

/** Keeps positions for sources that do not, when no target keeps them in its transaction. */
export interface OffsetStore {
  load(): Promise<readonly StoredOffset[]>;
  /** Returns when the ends of the ranges are durable. */
  save(ranges: readonly OffsetRange[]): Promise<void>;
}

/** The file's format, so that a later flow can read what an earlier one wrote. */
const FORMAT_VERSION = 1;

/**
 * Positions in a JSON file of the pipeline's own below `directory`, replaced as a whole (written beside it, synced, renamed): a crash
 * leaves the old or the new one.
 */
export class FileOffsetStore implements OffsetStore {
  readonly #directory: string;
  readonly #path: string;
  readonly #offsets = new Map<string, StoredOffset>();

  constructor(directory: string, pipeline: string) {
    this.#directory = directory;
    this.#path = `${directory}/${encodeURIComponent(pipeline)}.json`;
  }

  async load(): Promise<readonly StoredOffset[]> {
    let text: string;
    try {
      text = await Deno.readTextFile(this.#path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
    const stored = parseOffsets(text, this.#path);
    this.#offsets.clear();
    for (const offset of stored) this.#offsets.set(partitionKey(offset), offset);
    return stored;
  }

  async save(ranges: readonly OffsetRange[]): Promise<void> {
    for (const { sourceId, partition, to } of ranges) {
      this.#offsets.set(partitionKey({ sourceId, partition }), {
        sourceId,
        partition,
        position: to,
      });
    }
    await Deno.mkdir(this.#directory, { recursive: true });
    const beside = `${this.#path}.tmp`;
    const text = JSON.stringify({ version: FORMAT_VERSION, offsets: [...this.#offsets.values()] });
    {
      using file = await Deno.open(beside, { write: true, create: true, truncate: true });
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
      await file.sync();
    }
    await Deno.rename(beside, this.#path);
  }
}

function parseOffsets(text: string, path: string): StoredOffset[] {
  try {
    const data = JSON.parse(text) as { version?: unknown; offsets?: unknown };
    if (data.version !== FORMAT_VERSION || !Array.isArray(data.offsets)) {
      throw new TypeError(`version ${String(data.version)}`);
    }
    return data.offsets.map((offset: Record<string, unknown>) => {
      const { sourceId, partition, position } = offset;
      if (
        typeof sourceId !== "string" || typeof partition !== "string" ||
        typeof position !== "string"
      ) throw new TypeError("an entry without sourceId, partition or position");
      return { sourceId, partition, position };
    });
  } catch (cause) {
    throw new FlowError(`cannot read the stored positions in '${path}': not in a known format`, {
      code: "offset_store_invalid",
      domain: "user",
      hint: "restore the file, or remove it to read the sources from the start again",
      cause,
    });
  }
}
