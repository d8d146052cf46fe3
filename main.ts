/** The `flow` program: arguments in, exit code out. */
import project from "./deno.json" with { type: "json" };
import { settleAllocator } from "./src/cli/allocator.ts";
import { runProgram } from "./src/cli/program.ts";

/** A compiled program trusts Deno's own certificates only; like other programs, flow trusts the machine's. */
function trustSystemCertificates(): void {
  try {
    if (Deno.env.get("DENO_TLS_CA_STORE") === undefined) {
      Deno.env.set("DENO_TLS_CA_STORE", "system");
    }
  } catch (error) {
    // Started with `deno run` and without the permission: then Deno's own flags decide.
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
  }
}

if (import.meta.main) {
  settleAllocator();
  trustSystemCertificates();
  Deno.exit(await runProgram(Deno.args, project.version));
}
