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

/** The file is made anew once it holds this many positions that later ones have replaced, and more of them than of those that count. */
const MOST_REPLACED = 1000;

/**
 * Positions in a file of the pipeline's own below `directory`. Its first line is JSON with all of them, as they were when it was made; each
 * line behind it is the JSON of those that one batch moved. So what a batch costs does not grow with the number of partitions.
 *
 * The file is made beside its place, synced and renamed, and lines are added to its end and synced: a crash leaves what was there before, and
 * perhaps a last line without its end, which does not count.
 */
export class FileOffsetStore implements OffsetStore {
  readonly #directory: string;
  readonly #path: string;
  readonly #offsets = new Map<string, StoredOffset>();
  /** Positions in the file, replaced ones among them; `undefined` when no line can be added to it. */
  #written: number | undefined;

  constructor(directory: string, pipeline: string) {
    this.#directory = directory;
    this.#path = `${directory}/${encodeURIComponent(pipeline)}.json`;
  }

  /** @throws FlowError `offset_store_invalid` */
  async load(): Promise<readonly StoredOffset[]> {
    this.#offsets.clear();
    this.#written = undefined;
    let text: string;
    try {
      text = await Deno.readTextFile(this.#path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
    const [first = "", ...lines] = text.split("\n");
    // Behind the last line end: nothing, or a line that was not written to its end.
    const torn = lines.pop();
    let written = this.#take(parse(first, this.#path, wholeOffsets));
    for (const line of lines) written += this.#take(parse(line, this.#path, offsetList));
    if (torn === "") this.#written = written;
    return [...this.#offsets.values()];
  }

  async save(ranges: readonly OffsetRange[]): Promise<void> {
    const moved = ranges.map(({ sourceId, partition, to }) => ({
      sourceId,
      partition,
      position: to,
    }));
    this.#take(moved);
    const written = this.#written;
    const live = this.#offsets.size;
    // Until the line is durable nothing is known of the file's end.
    this.#written = undefined;
    if (written === undefined || written + moved.length > 2 * live + MOST_REPLACED) {
      await this.#replace();
      this.#written = live;
    } else {
      await this.#append(moved);
      this.#written = written + moved.length;
    }
  }

  #take(offsets: readonly StoredOffset[]): number {
    for (const offset of offsets) this.#offsets.set(partitionKey(offset), offset);
    return offsets.length;
  }

  async #append(offsets: readonly StoredOffset[]): Promise<void> {
    // Opened each time: another process of the pipeline may have put a new file in its place.
    using file = await Deno.open(this.#path, { append: true });
    await writeLine(file, offsets);
    await file.syncData();
  }

  async #replace(): Promise<void> {
    await Deno.mkdir(this.#directory, { recursive: true });
    const beside = `${this.#path}.tmp`;
    {
      using file = await Deno.open(beside, { write: true, create: true, truncate: true });
      await writeLine(file, { version: FORMAT_VERSION, offsets: [...this.#offsets.values()] });
      await file.sync();
    }
    await Deno.rename(beside, this.#path);
    // The new name is durable when its directory is.
    using folder = await Deno.open(this.#directory, { read: true });
    await folder.sync();
  }
}

async function writeLine(file: Deno.FsFile, value: unknown): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(value)}\n`);
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

function parse(
  text: string,
  path: string,
  read: (data: unknown) => StoredOffset[],
): StoredOffset[] {
  try {
    return read(JSON.parse(text));
  } catch (cause) {
    throw new FlowError(`cannot read the stored positions in '${path}': not in a known format`, {
      code: "offset_store_invalid",
      domain: "user",
      hint: "restore the file, or remove it to read the sources from the start again",
      cause,
    });
  }
}

function wholeOffsets(data: unknown): StoredOffset[] {
  const { version, offsets } = data as { version?: unknown; offsets?: unknown };
  if (version !== FORMAT_VERSION) throw new TypeError(`version ${String(version)}`);
  return offsetList(offsets);
}

function offsetList(data: unknown): StoredOffset[] {
  if (!Array.isArray(data)) throw new TypeError("no list of offsets");
  return data.map((offset: Record<string, unknown>) => {
    const { sourceId, partition, position } = offset;
    if (
      typeof sourceId !== "string" || typeof partition !== "string" ||
      typeof position !== "string"
    ) throw new TypeError("an entry without sourceId, partition or position");
    return { sourceId, partition, position };
  });
}
