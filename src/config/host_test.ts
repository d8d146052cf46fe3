import assert from "node:assert/strict";
import { FlowError } from "../core/error.ts";
import { denoHost, makeScratchDir, missingFlag } from "./host.ts";

Deno.test("files are read; one that is not there is undefined; one that cannot be read is an error", async () => {
  const dir = await makeScratchDir();
  try {
    await Deno.writeTextFile(`${dir}/a.toml`, "a = 1");
    assert.equal(await denoHost.readFile(`${dir}/a.toml`), "a = 1");
    assert.equal(await denoHost.readFile(`${dir}/b.toml`), undefined);
    await assert.rejects(
      denoHost.readFile(dir),
      (error) => error instanceof FlowError && error.code === "file_unreadable",
    );
    const latin1 = Uint8Array.of(...new TextEncoder().encode('a = "é"\nb = "ü'), 0xfc, 0x22);
    await Deno.writeFile(`${dir}/latin1.toml`, latin1);
    await assert.rejects(denoHost.readFile(`${dir}/latin1.toml`), {
      code: "file_unreadable",
      message: `${dir}/latin1.toml:2:7: the file is not text in UTF-8`,
    });
    // Bytes of a character that has more of them.
    await Deno.writeFile(`${dir}/cut.toml`, Uint8Array.of(0x61, 0xe2, 0x82));
    await assert.rejects(denoHost.readFile(`${dir}/cut.toml`), { message: /cut\.toml:1:2: / });
    await Deno.chmod(`${dir}/a.toml`, 0o600);
    assert.equal(await denoHost.readableByOthers(`${dir}/a.toml`), false);
    await Deno.chmod(`${dir}/a.toml`, 0o644);
    assert.equal(await denoHost.readableByOthers(`${dir}/a.toml`), true);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("what is not permitted is told with the flag that is missing", async () => {
  const worker = new Worker(new URL("./test_denied_worker.ts", import.meta.url), {
    type: "module",
    deno: { permissions: { env: ["FLOW_ALLOWED"], read: false, write: false } },
  });
  try {
    const told = await new Promise<unknown>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
    });
    assert.deepEqual(told, [
      ["not allowed to read the environment variable OTHER", "--allow-env=OTHER"],
      ["not allowed to list the environment variables", "--allow-env"],
      ["not allowed to read p.toml", "--allow-read=p.toml"],
      ["not allowed to make a temporary directory", "--allow-write"],
      ["no home", undefined],
    ]);
  } finally {
    worker.terminate();
  }
});

Deno.test("only a missing permission names a flag", () => {
  assert.equal(missingFlag(new Error("x")), undefined);
  assert.equal(
    missingFlag(new FlowError("x", { code: "other", domain: "user", details: { flag: "-A" } })),
    undefined,
  );
});
