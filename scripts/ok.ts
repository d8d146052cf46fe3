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
  if (args[0] === "doc") return await documented(args);
  const child = new Deno.Command(Deno.execPath(), { args: [...args], cwd: ROOT, stdin: "null" })
    .spawn();
  return (await child.status).success;
}

/**
 * Every public symbol has its doc comment. Deno's lint also wants the private types that public ones are composed of to be exported; those
 * are derived from the connectors' schemas and would only clutter the interface.
 */
async function documented(args: readonly string[]): Promise<boolean> {
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    env: { NO_COLOR: "1" },
  }).output();
  const findings = new TextDecoder().decode(stderr).split(/^(?=error\[)/m)
    .filter((finding) =>
      finding.startsWith("error[") && !finding.startsWith("error[private-type-ref]")
    );
  for (const finding of findings) console.error(finding.trim());
  return findings.length === 0;
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
