import assert from "node:assert/strict";
import { databaseTest } from "./test_database_rig.ts";
import { contains, Relay } from "./test_relay.ts";

const never = new AbortController().signal;

databaseTest("a COMMIT whose answer is lost counts when the server has committed", async (rig) => {
  const relay = await Relay.start();
  const session = await rig.database(relay.url(rig.rig)).connect(never);
  await session.begin();
  await session.run("CREATE TABLE t AS SELECT 1 AS a");
  relay.filter = (bytes) => {
    if (contains(bytes, "COMMIT\0")) {
      relay.filter = () => true;
      relay.deaf = true;
    }
    return true;
  };
  await session.commit();
  assert.deepEqual(await rig.rig.select(`SELECT a FROM ${rig.rig.schema}.t`), [{ a: "1" }]);
  await assert.rejects(session.run("SELECT 1"), { code: "database_unreachable", retryable: true });
  await session.close();
  await relay.stop();
});

databaseTest("a COMMIT that never arrived is told as not committed", async (rig) => {
  const relay = await Relay.start();
  const session = await rig.database(relay.url(rig.rig)).connect(never);
  await session.begin();
  await session.run("CREATE TABLE t AS SELECT 1 AS a");
  relay.filter = (bytes) => {
    if (!contains(bytes, "COMMIT\0")) return true;
    relay.filter = () => true;
    relay.cut();
    return false;
  };
  await assert.rejects(session.commit(), { code: "postgres_not_committed", retryable: true });
  await session.rollback();
  await session.close();
  await relay.stop();
});

databaseTest("a deferred constraint that fails at COMMIT is load_rejected", async (rig) => {
  const session = await rig.connect();
  await session.run(
    "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
  );
  await session.begin();
  await session.run("INSERT INTO c VALUES (5)");
  await assert.rejects(session.commit(), {
    code: "load_rejected",
    message: /c_p_fkey.*\(p\)=\(5\)/,
  });
  assert.deepEqual(await session.rows("SELECT * FROM c"), []);
});
