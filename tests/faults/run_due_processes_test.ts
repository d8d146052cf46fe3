import assert from "node:assert/strict";

/** Several `run-due` processes at once on one run log in a file: each time of each schedule is run by one of them. */

const SCRIPT = new URL("./due_process.ts", import.meta.url);
const PROCESSES = 4;

Deno.test("run-due processes at once share the work, and nothing is run twice", async () => {
  const folder = await Deno.makeTempDir({ prefix: "flow_test_" });
  const notes = `${folder}/notes.txt`;
  await Deno.writeTextFile(notes, "");
  const start = (now: string) =>
    new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-prompt",
        "--unstable-worker-options",
        SCRIPT.pathname,
        `sqlite://${folder}/run_log.db`,
        notes,
        now,
      ],
      stdout: "piped",
      stderr: "piped",
    }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  for (const now of ["2026-05-01T12:00:00Z", "2026-05-01T13:00:00Z"]) {
    await Deno.writeTextFile(notes, "");
    const outputs = await Promise.all(Array.from({ length: PROCESSES }, () => start(now)));
    const answers = outputs.map(({ code, stdout, stderr }) => {
      assert.equal(code, 0, text(stderr));
      return JSON.parse(text(stdout)) as { ran: number; failed: number };
    });
    const ran = (await Deno.readTextFile(notes)).trim().split("\n");
    assert.equal(ran.length, 25);
    assert.equal(new Set(ran).size, 25);
    assert.equal(answers.reduce((sum, answer) => sum + answer.ran, 0), 25);
    assert.ok(answers.every(({ failed }) => failed === 0));
  }
  await Deno.remove(folder, { recursive: true });
});
