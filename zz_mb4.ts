import { DuckDBInstance } from "@duckdb/node-api";
import { order } from "/work/main/scripts/bench/orders.ts";
import process from "node:process";
const i = await DuckDBInstance.create(":memory:", { threads: "1" });
const c = await i.connect();
await c.run("SET TimeZone='UTC'");
let s: string[] = [];
for (let k = 0; k < 97000; k++) s.push(JSON.stringify(order(k)));
const blob = new TextEncoder().encode(s.join("\x1e"));
const st = await c.prepare("create table raw as select x as _payload, null::blob _undecodable, 1::integer _partition, rowid _offset, now() _event_ts, null::varchar _key, null::varchar _headers, rowid __flow_row from (select unnest(string_split(decode($1::BLOB), chr(30))) x) t(x)".replace("rowid _offset","0::bigint _offset").replace("rowid __flow_row","(row_number() over () - 1) __flow_row"));
st.bindBlob(1, blob); await st.run();
const cpu = () => { const u = process.cpuUsage(); return (u.user + u.system) / 1000; };
async function t(name: string, sql: string, n = 11) {
  const r: number[] = [];
  try {
  for (let k = 0; k < n; k++) { await c.run("drop table if exists o"); const a = cpu(); await c.run(sql.startsWith("COPY") ? sql : "create table o as " + sql); r.push(cpu() - a); }
  r.sort((a, b) => a - b); console.log(name.padEnd(40), r[0].toFixed(1), r[n >> 1].toFixed(1));
  } catch (e) { console.log(name, "ERR", e.message); }
}
const ST = `{"order_id":"BIGINT","customer_id":"BIGINT","sku":"VARCHAR","quantity":"BIGINT","price":"DOUBLE","status":"VARCHAR","created_at":"VARCHAR","note":"VARCHAR"}`;
await c.run(`create table d as select unnest(from_json(_payload, '${ST}')), _partition, _offset, _event_ts, _key, _headers, __flow_row from raw`);
await c.run("alter table d alter created_at type timestamptz");
const cols = ["order_id","customer_id","sku","quantity","price","status","created_at","note"];
const copy = (list: string) => `COPY (select ${list} from d) TO '/tmp/h1/x.csv' (FORMAT csv, HEADER false, DELIMITER ',')`;
await t("copy", copy(cols.join(",")));
await t("copy no ts", copy(cols.filter(x => x !== "created_at").join(",")));
const range = "created_at >= TIMESTAMPTZ '0001-01-01 00:00:00+00' AND created_at < TIMESTAMPTZ '10000-01-01 00:00:00+00'";
await t("copy ts case", copy(cols.join(",").replace("created_at", `CASE WHEN ${range} THEN CAST(make_timestamp(epoch_us(created_at)) AS VARCHAR) ELSE CAST(created_at AS VARCHAR) END`)));
await t("copy ts plain", copy(cols.join(",").replace("created_at", `make_timestamp(epoch_us(created_at))`)));
await t("copy no double", copy(cols.filter(x => x !== "price").join(",")));
await t("copy no text", copy(cols.filter(x => !["sku","note","status"].includes(x)).join(",")));
await t("copy only ids", copy("order_id"));
const all = `concat_ws(',', order_id, customer_id, sku, quantity, price, status, make_timestamp(epoch_us(created_at)), note)`;
await t("concat_ws only", `select max(${all}) from d`);
await t("copy concat_ws", `COPY (select ${all} from d) TO '/tmp/h1/x.csv' (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x1f')`);
const all2 = ["order_id","customer_id","sku","quantity","price","status","make_timestamp(epoch_us(created_at))","note"].map(x=>`CAST(${x} AS VARCHAR)`).join("|| ',' ||");
await t("copy ||", `COPY (select ${all2} from d) TO '/tmp/h1/x.csv' (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x1f')`);
await t("format", `select max(format('{},{},{},{},{},{},{}', order_id, customer_id, sku, quantity, price, status, note)) from d`);
// decode
const cast = "try_cast(j.created_at as timestamptz)";
await t("decode, meta", `select j.order_id, j.customer_id, j.sku, j.quantity, j.price, j.status, ${cast} created_at, j.note, _partition, _offset, _event_ts, _key, _headers, __flow_row from (select *, from_json(_payload, '${ST}') j from raw)`);
await t("decode, no meta", `select j.order_id, j.customer_id, j.sku, j.quantity, j.price, j.status, ${cast} created_at, j.note, __flow_row from (select *, from_json(_payload, '${ST}') j from raw)`);
await t("decode, no cast", `select j.order_id, j.customer_id, j.sku, j.quantity, j.price, j.status, j.created_at, j.note, __flow_row from (select *, from_json(_payload, '${ST}') j from raw)`);
await t("decode proof", `select j.order_id, j.customer_id, j.sku, j.quantity, j.price, j.status, ${cast} created_at, j.note, _partition, _offset, _event_ts, _key, _headers, __flow_row, to_json(j)::VARCHAR = _payload AND regexp_full_match(j.created_at, '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z') as ok from (select *, from_json(_payload, '${ST}') j from raw)`);
await t("regexp only", `select max(regexp_full_match(created_at, '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z')) from (select created_at::varchar created_at from d)`);
