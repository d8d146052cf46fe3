import assert from "node:assert/strict";
import { startServices } from "./services.ts";
import { startGuarded } from "./services/process.ts";

const silent = () => {};

Deno.test("services: a running one that a variable names is used as it is", async () => {
  const before = Deno.env.get("FLOW_TEST_POSTGRES_URL");
  Deno.env.set("FLOW_TEST_POSTGRES_URL", "postgres://elsewhere/db");
  try {
    const services = await startServices({ only: ["postgres"], say: silent });
    assert.deepEqual(services.env, { FLOW_TEST_POSTGRES_URL: "postgres://elsewhere/db" });
    assert.match(services.started[0]?.how ?? "", /FLOW_TEST_POSTGRES_URL/);
    await services.stop();
  } finally {
    if (before === undefined) Deno.env.delete("FLOW_TEST_POSTGRES_URL");
    else Deno.env.set("FLOW_TEST_POSTGRES_URL", before);
  }
});

Deno.test("services: an unknown name is refused with those there are", async () => {
  await assert.rejects(
    startServices({ only: ["kafak"] }),
    /no service is called "kafak"; there are: kafka, /,
  );
});

Deno.test("services: stopping ends the process and removes its data", async () => {
  const { service, dataDirectory, logFile } = await guarded("exec sleep 600");
  await service.stop();
  await Deno.remove(logFile);
  await assert.rejects(Deno.stat(dataDirectory), Deno.errors.NotFound);
});

Deno.test("services: a process that ends by itself is seen, with its code and its output", async () => {
  const { service, logFile } = await guarded("echo broken; exit 7");
  let code: number | undefined;
  service.exited.then((found) => code = found);
  await eventually(() => code !== undefined);
  assert.equal(code, 7);
  assert.equal(await Deno.readTextFile(logFile), "broken\n");
  await Deno.remove(logFile);
});

Deno.test("services: what a killed parent left behind ends", async () => {
  const dataDirectory = await Deno.makeTempDir();
  const program = `
    import { startGuarded } from ${
    JSON.stringify(new URL("./services/process.ts", import.meta.url).href)
  };
    startGuarded({ command: ["sleep", "600"], logFile: "/dev/null", stopSignal: "TERM",
      dataDirectory: ${JSON.stringify(dataDirectory)} });
    Deno.kill(Deno.pid, "SIGKILL");`;
  await new Deno.Command(Deno.execPath(), { args: ["eval", program], stderr: "null" }).output();
  await eventually(async () => !(await Deno.stat(dataDirectory).then(() => true, () => false)));
});

/** Waits until `check` says yes, ten seconds at most. */
async function eventually(check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await check())) {
    assert.ok(performance.now() < deadline, `not within ten seconds: ${check}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function guarded(script: string) {
  const dataDirectory = await Deno.makeTempDir();
  const logFile = await Deno.makeTempFile();
  const service = startGuarded({
    command: ["sh", "-c", script],
    logFile,
    dataDirectory,
    stopSignal: "TERM",
  });
  return { service, dataDirectory, logFile };
}
