/** The account that a server runs as: those of databases refuse to run as root. */
import { run } from "./process.ts";
import { Unavailable } from "./service.ts";

/** An account of this machine. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The account that a server changes to; undefined where this program is not root, and the server runs as its user.
 *
 * @param server its name in the message when there is none
 * @param own the account that the server's package makes; without it `nobody` will do
 */
export async function serverAccount(server: string, own: string): Promise<Account | undefined> {
  if (Deno.uid() !== 0) return undefined;
  for (const name of [own, "nobody"]) {
    const uid = await run(["id", "-u", name]);
    const gid = await run(["id", "-g", name]);
    if (uid.ok && gid.ok) return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) };
  }
  throw new Unavailable(`${server} does not run as root, and there is no account ${own} or nobody`);
}

/** The command, run as that account. */
export function asAccount(
  account: Account | undefined,
  command: readonly string[],
): [string, ...string[]] {
  if (account === undefined) return command as [string, ...string[]];
  const ids = [`--reuid=${account.uid}`, `--regid=${account.gid}`];
  return ["setpriv", ...ids, "--clear-groups", "--", ...command];
}
