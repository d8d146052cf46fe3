import type { Clock } from "../../core/clock.ts";
import { FlowError } from "../../core/error.ts";
import type { PostgresAddress } from "./address.ts";
import { PostgresConnection } from "./connection.ts";

const RESOLVE_WITHIN_MS = 30_000;
const PAUSE_MS = 250;

/** The id of the open transaction; `undefined` while it has written nothing, so that there is nothing to lose. */
export async function transactionId(
  connection: PostgresConnection,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { rows: [row] } = await connection.query<{ id: string | null }>(
    "SELECT txid_current_if_assigned() AS id",
    undefined,
    signal,
  );
  return row?.id ?? undefined;
}

/**
 * Finds out, over new connections, what became of a transaction whose COMMIT was under way when the connection broke.
 *
 * @throws FlowError `database_commit_unknown` when the server does not come back in time or does not know, or the signal's reason
 */
export async function commitOutcome(
  id: string,
  address: PostgresAddress,
  clock: Clock,
  lost: unknown,
  signal: AbortSignal,
): Promise<"committed" | "aborted"> {
  const deadline = clock.monotonic() + RESOLVE_WITHIN_MS;
  do {
    const status = await askedStatus(id, address, signal);
    if (status === "committed" || status === "aborted") return status;
    await clock.sleep(PAUSE_MS, signal);
  } while (clock.monotonic() < deadline);
  throw new FlowError(
    `the connection to postgres at ${address.shown} broke during COMMIT, and whether the rows are there is not known`,
    {
      code: "database_commit_unknown",
      domain: "external",
      hint:
        "look into the table, or into run_history: a run that was committed stands there as a success",
      details: { server: address.shown, transaction: id },
      cause: lost,
    },
  );
}

/** `undefined` when nobody answers. */
async function askedStatus(
  id: string,
  address: PostgresAddress,
  signal: AbortSignal,
): Promise<string | undefined> {
  let connection: PostgresConnection | undefined;
  try {
    connection = await PostgresConnection.connect(address, signal);
    const { rows: [row] } = await connection.query<{ status: string | null }>(
      "SELECT txid_status($1) AS status",
      [id],
      signal,
    );
    return row?.status ?? undefined;
  } catch {
    signal.throwIfAborted();
    return undefined;
  } finally {
    await connection?.close();
  }
}
