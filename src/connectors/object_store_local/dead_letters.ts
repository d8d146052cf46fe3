import type { DeadLetter, DeadLetterSink } from "../../core/dead_letter.ts";
import { FlowError } from "../../core/error.ts";
import { isoTime } from "../../core/utc_time.ts";
import { fileError } from "./byte_stream.ts";
import { filePlace } from "./file_format.ts";

const NEWLINE = 0x0a;

/**
 * Dead letters as lines of JSON at the end of a file: `id`, `pipeline`, `stage`, `error`, `source_id`, `partition`, `offset`, `attempt`,
 * `failed_at`, `event_ts` (both ISO-8601), `key`, `payload_format`, and `payload`: text, or base64 with `payload_encoding` "base64" where the
 * bytes are not UTF-8. After a crash letters may come again, with the same `id`.
 */
export class FileDeadLetters implements DeadLetterSink {
  readonly place: string;
  readonly #path: string;
  #file: Deno.FsFile | undefined;

  constructor(path: string) {
    this.#path = path;
    this.place = filePlace(path);
  }

  async open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    try {
      const folder = this.#path.slice(0, Math.max(0, this.#path.lastIndexOf("/")));
      if (folder !== "") await Deno.mkdir(folder, { recursive: true });
      this.#file = await Deno.open(this.#path, { read: true, append: true, create: true });
      await this.#endLine(this.#file);
    } catch (error) {
      throw fileError(this.#path, error);
    }
  }

  async write(letters: readonly DeadLetter[]): Promise<void> {
    const file = this.#file;
    if (file === undefined) {
      throw new FlowError(`cannot write dead letters to '${this.#path}': the file is not open`, {
        code: "dead_letters_not_open",
        domain: "internal",
      });
    }
    const bytes = new TextEncoder().encode(
      letters.map((letter) => `${JSON.stringify(letterJson(letter))}\n`).join(""),
    );
    try {
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
      await file.syncData();
    } catch (error) {
      throw fileError(this.#path, error);
    }
  }

  close(): Promise<void> {
    this.#file?.close();
    this.#file = undefined;
    return Promise.resolve();
  }

  /** A crash may have left half a line: the next letter must not be joined to it. */
  async #endLine(file: Deno.FsFile): Promise<void> {
    const { size } = await file.stat();
    if (size === 0) return;
    await file.seek(size - 1, Deno.SeekMode.Start);
    const last = new Uint8Array(1);
    await file.read(last);
    if (last[0] !== NEWLINE) await file.write(Uint8Array.of(NEWLINE));
  }
}

function letterJson(letter: DeadLetter): Record<string, string | number | null> {
  const micros = letter.eventTimeMicros;
  return {
    id: letter.id,
    pipeline: letter.pipeline,
    stage: letter.stage,
    error: letter.error,
    source_id: letter.sourceId,
    partition: letter.partition,
    offset: exactNumber(letter.offset),
    attempt: letter.attempt,
    failed_at: new Date(letter.failedAtMs).toISOString(),
    event_ts: micros === null ? null : isoTime(micros),
    key: letter.key,
    payload_format: letter.payloadFormat,
    ...payloadJson(letter.payload),
  };
}

/** A number, or the digits as text where a reader of JSON would round them. */
function exactNumber(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

function payloadJson(payload: Uint8Array | null): Record<string, string | null> {
  if (payload === null) return { payload: null };
  try {
    return { payload: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload) };
  } catch {
    return { payload: payload.toBase64(), payload_encoding: "base64" };
  }
}
