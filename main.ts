/** The `flow` program: arguments in, exit code out. */
import project from "./deno.json" with { type: "json" };
import { settleAllocator } from "./src/cli/allocator.ts";
import { type PackedLibrary, unpackLibraries } from "./src/cli/packed_libraries.ts";
import { runProgram } from "./src/cli/program.ts";

/** In a compiled program they name the libraries that lie in it compressed (`scripts/compile/pack_libraries.ts`). */
const settings: { readonly version: string; readonly packedLibraries?: readonly PackedLibrary[] } =
  project;

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
  Deno.exit(
    await runProgram(Deno.args, settings.version, async () => {
      await unpackLibraries(new URL("./", import.meta.url), settings.packedLibraries ?? []);
    }),
  );
}
