import type { Observation } from "../core/observation.ts";
import { bytesText, countText, durationText, rowsText, timeText } from "./number_text.ts";

/** The observations that are told as a line of their own without `-v`; rejected rows are told in sums, see `progress.ts`. */
const NOTEWORTHY: ReadonlySet<Observation["kind"]> = new Set([
  "plan_changed",
  "offsets_fenced",
  "notice",
  "retrying",
]);

/** True when people should see the observation without having asked for details. */
export function isNoteworthy(observation: Observation): boolean {
  return NOTEWORTHY.has(observation.kind);
}

/** One observation as a line for people, without the pipeline's name. */
export function observationText(observation: Observation): string {
  switch (observation.kind) {
    case "run_started":
      return `${observation.sources.join(", ")} -> ${
        observation.targets.join(", ")
      }, delivery ${observation.delivery}`;
    case "ready":
      return "sources and targets are open";
    case "batch_committed":
      return batchText(observation);
    case "idle":
      return "nothing to read";
    case "lag":
      return `lag of ${observation.sourceId}: ${rowsText(observation.rows)}`;
    case "watermark":
      return `watermark of ${observation.sourceId}: ${timeText(observation.micros)}`;
    case "rows_rejected":
      return rejectedText(observation, observation.rows);
    case "plan_changed":
      return `new plan: ${observation.reason}`;
    case "offsets_fenced":
      return `another process has moved the offsets in ${observation.targetId}; reading again from there`;
    case "notice":
      return observation.message;
    case "retrying":
      return `restart ${observation.restart} in ${
        durationText(observation.waitMs)
      }: ${observation.error.message}`;
    case "rows_loaded":
      return `${rowsText(observation.rows)} moved so far`;
    case "pipeline_firing": {
      const { attempt, maxAttempts, scheduledFor } = observation;
      return `started${maxAttempts > 1 ? `, attempt ${attempt} of ${maxAttempts}` : ""}${
        scheduledFor === undefined ? "" : `, for ${scheduledFor}`
      }`;
    }
    case "pipeline_succeeded":
      return `done in ${durationText(observation.elapsedMs)}`;
    case "pipeline_skipped":
      return `skipped (${observation.reason})`;
    case "error":
      return `failed: ${observation.error.message}`;
  }
}

/** `3 rows to the dead letters (decode), first: not JSON`. */
export function rejectedText(
  observation: Observation & { readonly kind: "rows_rejected" },
  rows: number,
): string {
  const where = observation.action === "dead_letter" ? "to the dead letters" : "dropped";
  const reason = observation.example === "" ? "" : `, first: ${observation.example}`;
  return `${rowsText(rows)} ${where} (${observation.stage})${reason}`;
}

/** An observation as a JSON object with snake_case keys, for `--format json`. */
export function observationJson(observation: Observation): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(observation).map(([key, value]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  );
}

function batchText(batch: Observation & { readonly kind: "batch_committed" }): string {
  const stages = Object.entries(batch.stageMs).map(([stage, ms]) => `${stage} ${Math.round(ms)}`);
  const times = stages.length === 0 ? "" : ` (${stages.join(", ")})`;
  return `batch ${batch.epoch}: ${countText(batch.rowsConsumed)} rows read, ${
    countText(batch.rowsWritten)
  } written, ${bytesText(batch.bytes)}, ${durationText(batch.latencyMs)}${times}`;
}
