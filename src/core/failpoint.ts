/**
 * Named places at which a fault test stops the process dead, as `kill -9` would: `FLOW_FAILPOINT=name:n` exits at the
 * n-th passage (from 1). Without the variable a failpoint costs one comparison.
 */
export type FailpointName =
  | "source_batch_read"
  | "before_begin"
  | "after_write"
  | "before_dead_letters"
  | "after_dead_letters"
  | "before_commit"
  | "after_commit"
  | "before_acknowledge"
  | "after_acknowledge"
  | "batch_after_start"
  | "batch_after_ddl"
  | "batch_after_load"
  | "batch_before_commit"
  | "batch_after_commit";

interface ArmedFailpoint {
  readonly name: string;
  remaining: number;
  readonly stopDead: () => void;
}

let armed: ArmedFailpoint | undefined;

/**
 * Arms the failpoint that `setting` (`name:n`) names; `undefined` or an empty text disarms.
 *
 * @param stopDead ends the process at once and does not return; by default a SIGKILL, which an isolate without `run` has to leave to its
 * host.
 */
export function armFailpoint(
  setting: string | undefined,
  stopDead: () => void = () => Deno.kill(Deno.pid, "SIGKILL"),
): void {
  if (!setting) {
    armed = undefined;
    return;
  }
  const [name = "", count = "1"] = setting.split(":");
  armed = { name, remaining: Number(count), stopDead };
}

/** Passes the named place; ends the process when it is the armed one and its count is reached. */
export function failpoint(name: FailpointName): void {
  if (armed === undefined || armed.name !== name) return;
  armed.remaining -= 1;
  if (armed.remaining === 0) armed.stopDead();
}
