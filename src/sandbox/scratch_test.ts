import assert from "node:assert/strict";
import { makeScratch, removeScratch } from "./scratch.ts";

Deno.test("a scratch directory of a dead process is removed by the next run, one of a living is not", async () => {
  const own = await makeScratch();
  const child = new Deno.Command("true").spawn();
  await child.status;
  const dead = own.replace(`-${Deno.pid}-`, `-${child.pid}-`);
  await Deno.mkdir(`${dead}/below`, { recursive: true });
  const next = await makeScratch();
  try {
    await assert.rejects(Deno.stat(dead), Deno.errors.NotFound);
    assert.ok((await Deno.stat(own)).isDirectory);
  } finally {
    await removeScratch(own);
    await removeScratch(next);
  }
  await assert.rejects(Deno.stat(own), Deno.errors.NotFound);
  await removeScratch(own);
});
