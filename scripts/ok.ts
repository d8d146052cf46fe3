/**
 * All that must hold before a commit: `deno task ok`. Runs every step, also after one that failed, and ends with 1
 * when any did. `deno task ok --static` leaves out the tests.
 */

interface Step {
  readonly name: string;
  readonly args: readonly string[];
}

const STATIC_STEPS: readonly Step[] = [
  { name: "format", args: ["fmt", "--check"] },
  { name: "lint and layers", args: ["lint"] },
  { name: "types", args: ["check", "."] },
  { name: "docs of the public interface", args: ["doc", "--lint", "src/mod.ts"] },
  { name: "tidy", args: ["run", "--allow-all", "scripts/tidy.ts"] },
];
const TESTS: Step = { name: "tests", args: ["run", "--allow-all", "scripts/test.ts"] };

const ROOT = new URL("..", import.meta.url).pathname;

async function passes({ name, args }: Step): Promise<boolean> {
  console.log(`--- ${name}: deno ${args.join(" ")}`);
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
    stdin: "null",
    // The documentation that the lint run would print is of no use here.
    stdout: args[0] === "doc" ? "null" : "inherit",
    stderr: "inherit",
  }).spawn();
  return (await child.status).success;
}

if (import.meta.main) {
  const steps = Deno.args.includes("--static") ? STATIC_STEPS : [...STATIC_STEPS, TESTS];
  const failed: string[] = [];
  for (const step of steps) {
    if (!(await passes(step))) failed.push(step.name);
  }
  if (failed.length > 0) console.error(`not ok: ${failed.join(", ")}`);
  Deno.exit(failed.length === 0 ? 0 : 1);
}
