import assert from "node:assert/strict";
import { Secret } from "../../core/secret.ts";
import { postgresConnector } from "./connector.ts";
import { contains, Relay } from "./test_relay.ts";
import { serviceTest, TEST_URL } from "./test_rig.ts";

const never = new AbortController().signal;

serviceTest("a COMMIT whose answer is lost counts when the offsets are there", async (rig) => {
  const relay = await Relay.start();
  const sink = await rig.sink({ options: { url: new Secret(relay.url(rig)) } });
  let lost = 0;
  relay.filter = (bytes) => {
    if (!contains(bytes, "COMMIT\0") || contains(bytes, "BEGIN")) return true;
    relay.filter = () => true;
    // The server gets the COMMIT; the client never hears of it.
    relay.deaf = true;
    lost += 1;
    return true;
  };
  const moves = [{ sourceId: "orders", partition: "0", expected: null, to: "3" }];
  await rig.writeEpoch(sink, "SELECT 1 AS id", moves);
  assert.equal(lost, 1);
  // And the sink goes on, over a new connection.
  await rig.writeEpoch(sink, "SELECT 2 AS id", [{ ...moves[0]!, expected: "3", to: "4" }]);
  assert.equal((await rig.select(`SELECT * FROM ${rig.schema}.events`)).length, 2);
  await sink.close();
  await relay.stop();
});

serviceTest("a COMMIT that never arrived is told as not committed", async (rig) => {
  const relay = await Relay.start();
  const sink = await rig.sink({ options: { url: new Secret(relay.url(rig)) } });
  await rig.writeEpoch(sink, "SELECT 1 AS id");
  relay.filter = (bytes) => {
    if (!contains(bytes, "COMMIT\0") || contains(bytes, "BEGIN")) return true;
    relay.filter = () => true;
    relay.cut();
    return false;
  };
  const moves = [{ sourceId: "orders", partition: "0", expected: null, to: "3" }];
  await assert.rejects(rig.writeEpoch(sink, "SELECT 2 AS id", moves), {
    code: "postgres_not_committed",
    retryable: true,
  });
  await sink.abort();
  await rig.writeEpoch(sink, "SELECT 3 AS id", moves);
  const rows = await rig.select(`SELECT id FROM ${rig.schema}.events ORDER BY id`);
  assert.deepEqual(rows.map((row) => row["id"]), ["1", "3"]);
  await sink.close();
  await relay.stop();
});

serviceTest(
  "a connection lost in a COPY is retryable, and the sink usable after abort",
  async (rig) => {
    const relay = await Relay.start();
    const sink = await rig.sink({ options: { url: new Secret(relay.url(rig)) } });
    await rig.writeEpoch(sink, "SELECT 1 AS id");
    relay.filter = (bytes) => {
      if (!contains(bytes, "COPY ")) return true;
      relay.filter = () => true;
      relay.cut();
      return false;
    };
    await sink.begin(2);
    const batch = await rig.batch("SELECT i AS id FROM range(200000) t(i)");
    await assert.rejects(sink.write(batch, rig.session, never), (error: unknown) => {
      assert.equal((error as { code: string }).code, "postgres_unreachable");
      assert.equal((error as { retryable: boolean }).retryable, true);
      return true;
    });
    await sink.abort();
    await rig.writeEpoch(sink, "SELECT 2 AS id");
    assert.equal((await rig.select(`SELECT * FROM ${rig.schema}.events`)).length, 2);
    // A session that died while idle is replaced without a word.
    relay.cut();
    await rig.writeEpoch(sink, "SELECT 3 AS id");
    await sink.close();
    await relay.stop();
  },
);

serviceTest("aborting stops a write that waits for a lock", async (rig) => {
  const sink = await rig.sink();
  await rig.writeEpoch(sink, "SELECT 1 AS id");
  await rig.execute("BEGIN; LOCK TABLE events");
  await sink.begin(2);
  const controller = new AbortController();
  const batch = await rig.batch("SELECT i AS id FROM range(500000) t(i)");
  const writing = sink.write(batch, rig.session, controller.signal);
  writing.catch(() => {});
  const deadline = Date.now() + 10_000;
  const waiting = "SELECT 1 FROM pg_locks WHERE relation = 'events'::regclass AND NOT granted";
  while ((await rig.select(waiting)).length === 0) assert.ok(Date.now() < deadline);
  const reason = new Error("stop now");
  controller.abort(reason);
  await assert.rejects(writing, reason);
  await sink.abort();
  assert.deepEqual(await rig.select(waiting), []);
  await rig.execute("COMMIT");
  await rig.writeEpoch(sink, "SELECT 2 AS id");
  assert.equal((await rig.select(`SELECT * FROM ${rig.schema}.events`)).length, 2);
});

serviceTest("aborting in the midst of a COPY leaves a usable sink", async (rig) => {
  const sink = await rig.sink();
  const batch = await rig.batch("SELECT i AS id, repeat('x', 200) AS pad FROM range(300000) t(i)");
  await rig.writeEpoch(sink, "SELECT 1::BIGINT AS id, 'x' AS pad");
  const controller = new AbortController();
  await sink.begin(2);
  const writing = sink.write(batch, rig.session, controller.signal);
  writing.catch(() => {});
  const deadline = Date.now() + 10_000;
  const copying = "SELECT 1 FROM pg_stat_progress_copy WHERE tuples_processed > 0";
  while ((await rig.select(copying)).length === 0) assert.ok(Date.now() < deadline);
  controller.abort();
  await assert.rejects(writing, { name: "AbortError" });
  await sink.abort();
  await rig.writeEpoch(sink, "SELECT 2::BIGINT AS id, 'x' AS pad");
  assert.equal((await rig.select(`SELECT id FROM ${rig.schema}.events`)).length, 2);
});

serviceTest("a statement timeout is told as such", async (rig) => {
  const sink = await rig.sink({
    options: { url: new Secret(rig.url()), statement_timeout_ms: 100 },
  });
  await rig.execute("CREATE TABLE events (id int)");
  await rig.execute("BEGIN; LOCK TABLE events");
  await sink.begin(1);
  const batch = await rig.batch("SELECT 1 AS id");
  await assert.rejects(sink.write(batch, rig.session, never), {
    code: "postgres_timeout",
    retryable: true,
  });
  await sink.abort();
  await rig.execute("COMMIT");
});

serviceTest(
  "check answers with the version; failures name host and database, never the password",
  async (rig) => {
    const check = async (url: string) =>
      (await postgresConnector.check?.({ url: new Secret(url) }, never))?.detail;
    assert.match(await check(rig.url()) ?? "", /^PostgreSQL \d+.* at .+\/\w+ as \w+$/);
    const url = new URL(TEST_URL ?? "");
    const at = `${url.hostname}:${url.port}`;
    const cases: [change: (url: URL) => void, code: string, retryable: boolean, domain: string][] =
      [
        [(u) => u.password = "wrong-Secret-1", "postgres_auth_failed", false, "user"],
        [(u) => u.password = "", "postgres_auth_failed", false, "user"],
        [(u) => u.pathname = "/no_such_db", "postgres_database_unknown", false, "user"],
        [(u) => u.port = "1", "postgres_unreachable", true, "external"],
        [(u) => u.hostname = "no-such-host.invalid", "postgres_unreachable", true, "external"],
        [(u) => u.search = "?sslmode=require", "postgres_tls_unsupported", false, "user"],
      ];
    for (const [change, code, retryable, domain] of cases) {
      const wrong = new URL(url);
      change(wrong);
      await assert.rejects(check(wrong.href), (error: unknown) => {
        const told = error as { code: string; retryable: boolean; domain: string };
        assert.deepEqual([told.code, told.retryable, told.domain], [code, retryable, domain]);
        const shown = Deno.inspect(error, { depth: 10 });
        assert.doesNotMatch(shown, /wrong-Secret-1/);
        if (url.password !== "") assert.ok(!shown.includes(url.password), shown);
        return true;
      });
    }
    const missing = new URL(url);
    missing.pathname = "/no_such_db";
    await assert.rejects(check(missing.href), {
      message: new RegExp(`connect to postgres at ${at}/no_such_db: `),
    });
  },
);

Deno.test("postgres: a connection without an address, or with another scheme, is a user error", async () => {
  for (const options of [{}, { url: new Secret("mysql://u:pass-word@h/d") }]) {
    await assert.rejects(async () => await postgresConnector.check?.(options, never), {
      code: "postgres_options_invalid",
      domain: "user",
    });
  }
});
