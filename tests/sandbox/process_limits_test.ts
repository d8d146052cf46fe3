import assert from "node:assert/strict";
import { inProject } from "./boundary.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Runs flow under `deno run` with permissions of its own. */
async function underDeno(
  denoFlags: readonly string[],
  args: readonly string[],
  cwd: string,
): Promise<{ code: number; text: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      "--unstable-worker-options",
      ...denoFlags,
      `${ROOT}main.ts`,
      ...args,
    ],
    cwd,
    stdin: "null",
    env: { NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await command.output();
  return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

const MODULE = `import { datagen, memory, streamingPipeline } from "flow";
streamingPipeline("orders", {
  source: datagen({ columns: { id: "sequence" }, rows: 10 }),
  sourceQuery: "orders",
  target: memory({ name: "out" }),
  targetTable: "orders",
});
await Deno.connect({ hostname: "127.0.0.1", port: 1 });
`;

Deno.test("under deno run, the process's own permissions hold, and flow's flags only narrow them", async () => {
  await inProject({ "main.ts": MODULE }, async (project, outside) => {
    const own = ["--allow-read", "--allow-write", "--allow-env", "--allow-ffi", "--allow-sys"];
    const list = ["consume-list", "--module", "main.ts"];
    const unlisted = await underDeno([...own, "--allow-net=127.0.0.1:2"], list, project);
    assert.match(unlisted.text, /--allow-net=127\.0\.0\.1:1/);
    assert.equal(unlisted.code, 12, unlisted.text);

    const wider = await underDeno([...own, "--allow-net=127.0.0.1:2"], [
      ...list,
      "--allow-net=127.0.0.1:1",
    ], project);
    assert.match(wider.text, /cannot grant --allow-net=127\.0\.0\.1:1/);
    assert.match(wider.text, /add --allow-net=127\.0\.0\.1:1 to the deno command/);
    assert.equal(wider.code, 12, wider.text);

    const everything = await underDeno([...own, "--allow-net=127.0.0.1:2"], [
      ...list,
      "--allow-net",
    ], project);
    assert.match(everything.text, /cannot grant --allow-net:/);

    const noTemp = await underDeno(
      [
        "--allow-read",
        `--allow-write=${outside}`,
        "--allow-env",
        "--allow-ffi",
        "--allow-sys",
      ],
      list,
      project,
    );
    assert.match(noTemp.text, /directory for temporary files/);
    assert.match(noTemp.text, /--allow-write/);
  });
});
