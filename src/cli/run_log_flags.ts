import type { RunLogChoice } from "../core/batch_request.ts";
import { type FlagName, type FlagValues, usageError } from "./flags.ts";

/** The flags that choose a run log, for the list of flags of a command. */
export const READ_LOG_FLAGS: readonly FlagName[] = ["run-log", "run-log-url", "run-log-path"];

/** The same for commands that can do without. */
export const RUN_LOG_FLAGS: readonly FlagName[] = [...READ_LOG_FLAGS, "no-run-log"];

/** The lines about these flags in the help of a command. */
export const RUN_LOG_HELP =
  `  --run-log URL      the history of runs: sqlite://PATH, a path, postgres://… or memory://.
                     Without it EMATIX_FLOW_RUN_LOG_URL, then EMATIX_FLOW_RUN_LOG_PATH,
                     then ~/.ematix-flow/run_log.db
                     (--run-log-url and --run-log-path are the same)
`;

/** The line about `--no-run-log`. */
export const NO_RUN_LOG_HELP = `  --no-run-log       keep no history
`;

const NAMES = ["run-log", "run-log-url", "run-log-path"] as const;

/**
 * The run log that the command line asks for.
 *
 * @throws FlowError `usage_invalid` when two flags contradict one another.
 */
export function runLogChoice(flags: FlagValues): RunLogChoice {
  const given = NAMES.flatMap((name) => {
    const value = flags[name];
    return value === undefined ? [] : [{ name, value }];
  });
  const [first, ...others] = given;
  const other = others.find(({ value }) => value !== first?.value);
  if (first !== undefined && other !== undefined) {
    throw usageError(
      `--${first.name} ${first.value} and --${other.name} ${other.value} contradict one another`,
      "leave one of them out",
    );
  }
  if (flags["no-run-log"]) {
    if (first === undefined) return { off: true };
    throw usageError(
      `--${first.name} and --no-run-log contradict one another`,
      "leave one of them out",
    );
  }
  return first === undefined ? {} : { url: first.value };
}
