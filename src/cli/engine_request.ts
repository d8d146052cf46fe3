import { FlowError } from "../core/error.ts";
import type { EngineRequest, EngineResult } from "../core/request.ts";
import { runInEngine } from "../sandbox/engine_host.ts";
import type { CommandContext } from "./command.ts";
import { Interrupts } from "./interrupts.ts";

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

/**
 * Asks the engine for something that is done soon and has no batch to finish: a signal stops it at once.
 *
 * @throws Stopped when a signal came; FlowError for the rest.
 */
export async function ask<Did extends EngineResult["did"]>(
  context: CommandContext,
  request: EngineRequest,
  did: Did,
): Promise<Answer<Did>> {
  const interrupts = new Interrupts({ drains: false });
  try {
    const result = await runInEngine(request, {
      permissions: context.permissions,
      observe: () => {},
      drain: interrupts.drain,
      now: interrupts.now,
    });
    return answerOf(result, did);
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
