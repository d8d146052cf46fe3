/** What a batch fault test sees of a target: its rows, the watermark and the history that are kept beside them. */
import assert from "node:assert/strict";
import type { SqlValue } from "../../src/core/session.ts";
import type { Place } from "../batch/rig.ts";
import { type Mode, tableOf } from "./batch_pipelines.ts";

type Row = Readonly<Record<string, SqlValue>>;

/** The metadata table `run_history` or `watermarks` as the database's SQL names it. */
export function metadataTable({ kind }: Place, name: "run_history" | "watermarks"): string {
  return kind === "postgres" || kind === "duckdb" ? `ematix_flow.${name}` : `ematix_flow_${name}`;
}

/** A target to the last bit: columns, all values with the run that wrote them, watermark. Two snapshots are equal when nothing happened in between. */
export async function snapshot(place: Place, mode: Mode): Promise<unknown> {
  const rows = await place.rows(`SELECT * FROM ${tableOf(mode)} ORDER BY id, changed_at`);
  const watermark = await place.rows(
    `SELECT * FROM ${metadataTable(place, "watermarks")} WHERE pipeline_name = '${mode}'`,
  );
  return { rows: rows.map((row) => entries(place, row)), watermark };
}

/** MySQL commits what it adds to a table at once: a column without values is no change of the contents there. */
function entries({ kind }: Place, row: Row): unknown {
  const all = Object.entries(row);
  return kind === "mysql" ? all.filter(([name, value]) => name !== "note" || value !== null) : all;
}

/** The rows in the form of `EXPECTED`. */
export async function contents(place: Place, mode: Mode): Promise<string[]> {
  const rows = await place.rows(`SELECT * FROM ${tableOf(mode)} ORDER BY id, changed_at`);
  return rows.map((row) => {
    const values = [row["id"], row["name"], secondOf(row["changed_at"])];
    if ("note" in row) values.push(row["note"] ?? "-");
    if (mode === "scd2") values.push("from", secondOf(row["valid_from"]), standing(row));
    return values.map(String).join(" ");
  });
}

function standing({ is_current: isCurrent, valid_to: validTo }: Row): string {
  const current = isCurrent === true || isCurrent === 1n;
  assert.equal(validTo === null, current, "a version is the current one or has an end");
  return current ? "current" : "closed";
}

function secondOf(time: SqlValue | undefined): string {
  const found = /^2026-01-01.00:00:0(\d)/.exec(String(time));
  assert(found !== null, `not a time of the source: ${time}`);
  return String(found[1]);
}

/** The statuses of a pipeline's runs in the order of their start, each with its message. */
export async function history(place: Place, pipeline: string): Promise<string[]> {
  const rows = await place.rows(
    `SELECT status, error_message FROM ${
      metadataTable(place, "run_history")
    } WHERE pipeline_name = '${pipeline}' ORDER BY started_at`,
  );
  return rows.map(({ status, error_message: message }) =>
    message === null ? String(status) : `${status}: ${message}`
  );
}
