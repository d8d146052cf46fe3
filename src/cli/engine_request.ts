import { FlowError } from "../core/error.ts";
import type { Observe } from "../core/observation.ts";
import type { EngineRequest, EngineResult } from "../core/request.ts";
import { runInEngine } from "../sandbox/engine_host.ts";
import type { CommandContext } from "./command.ts";
import { Interrupts } from "./interrupts.ts";

/** The answer to a request, by its `did`. */
type Answer<Did extends EngineResult["did"]> = Extract<EngineResult, { readonly did: Did }>;

/** The request to stop at once, as an exit code. */
export class Stopped extends Error {
  override readonly name = "Stopped";
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("stopped by a signal");
    this.exitCode = exitCode;
  }
}

/** What is done with what the engine tells. */
export interface AskOptions<Did extends EngineResult["did"]> {
  readonly observe?: Observe;
  /** Takes output (`flow sql`). */
  readonly output?: (bytes: Uint8Array) => void;
  /** Stops the engine at once when it is aborted. */
  readonly stop?: AbortSignal;
  /** True for an answer that tells of work which was cut short. */
  readonly isCutShort?: (answer: Answer<Did>) => boolean;
}

/**
 * Asks the engine for something that has no batch to finish: a signal stops it at once, and what it did in open transactions is
 * rolled back.
 *
 * @throws Stopped when a signal came; FlowError for the rest.
 */
export async function ask<Did extends EngineResult["did"]>(
  context: CommandContext,
  request: EngineRequest,
  did: Did,
  { observe = () => {}, output, stop, isCutShort = () => false }: AskOptions<Did> = {},
): Promise<Answer<Did>> {
  const interrupts = new Interrupts({ drains: false });
  try {
    const result = await runInEngine(request, {
      permissions: context.permissions,
      observe,
      ...(output === undefined ? {} : { output }),
      drain: interrupts.drain,
      now: stop === undefined ? interrupts.now : AbortSignal.any([interrupts.now, stop]),
    });
    const answer = answerOf(result, did);
    if (interrupts.stopCode !== undefined && isCutShort(answer)) {
      throw new Stopped(interrupts.stopCode);
    }
    return answer;
  } catch (error) {
    if (interrupts.stopCode !== undefined) throw new Stopped(interrupts.stopCode);
    throw error;
  } finally {
    interrupts.close();
  }
}

/** The result as the kind that was asked for. */
export function answerOf<Did extends EngineResult["did"]>(
  result: EngineResult,
  did: Did,
): Answer<Did> {
  if (result.did === did) return result as Answer<Did>;
  throw new FlowError(`the engine was asked for ${did} and did ${result.did}`, {
    code: "unexpected",
    domain: "internal",
  });
}
