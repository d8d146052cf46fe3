import { Cron } from "croner";
import { nearestName } from "./key_names.ts";

/** What is wrong with a schedule or a zone. */
export interface ScheduleProblem {
  readonly message: string;
  readonly hint?: string;
}

/** A time to count from when a schedule is asked whether it is ever due. */
const ANY_TIME = new Date(0);

/** What is wrong with a cron text; `undefined` when it is valid. Five fields, or `@hourly` and the like. */
export function scheduleProblem(cron: string): ScheduleProblem | undefined {
  const fields = cron.trim().split(/\s+/);
  const isName = fields.length === 1 && cron.trim().startsWith("@");
  if (!isName && fields.length !== 5) {
    return {
      message: `${JSON.stringify(cron)} has ${fields.length} field${
        fields.length === 1 ? "" : "s"
      }, and cron has five: minute, hour, day of month, month, day of week`,
      hint: 'such as "*/5 * * * *", or "@hourly"',
    };
  }
  try {
    const job = new Cron(cron.trim(), { mode: "5-part", paused: true, timezone: "UTC" });
    if (job.nextRun(ANY_TIME) !== null) return undefined;
    return { message: `${JSON.stringify(cron)} is never due: there is no such day` };
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^CronPattern: /, "") : "";
    return { message: `${JSON.stringify(cron)} is no schedule: ${reason}` };
  }
}

/** What is wrong with the name of a time zone; `undefined` when it is one. */
export function timezoneProblem(name: string): ScheduleProblem | undefined {
  if (/^[A-Za-z]/.test(name) && isZone(name)) return undefined;
  const near = nearestName(name, Intl.supportedValuesOf("timeZone"));
  return {
    message: `${JSON.stringify(name)} is no time zone`,
    hint: near === undefined
      ? "give the IANA name of a zone, such as Europe/Berlin"
      : `did you mean ${near}?`,
  };
}

function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
