import assert from "node:assert/strict";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { SourceBatch } from "../../core/batch.ts";
import { FlowError } from "../../core/error.ts";
import type { StoredOffset } from "../../core/offset.ts";
import { engineFault, isArchiveFault } from "./broken_file.ts";
import { type FileRig, fileTest, hastyClock, withoutSeal } from "./test_rig.ts";
import { BROKEN_AFTER_REST_MS } from "./tracked_file.ts";

const text = (content: string) => new TextEncoder().encode(content);

/** Lines whose text does not pack well, so that an archive of them is read in several pieces. */
function lines(count: number): string[] {
  return Array.from({ length: count }, (_l, at) => `{"id":${at},"x":"${Math.sin(at)}"}`);
}

/** A refused row of a batch. */
interface Refused {
  readonly partition: string;
  readonly offset: number;
  readonly error: string;
  readonly payload: string;
}

async function refusedOf(rig: FileRig, batch: SourceBatch): Promise<Refused[]> {
  if (batch.unreadable === undefined) return [];
  const rows = await rig.rows(
    "SELECT _partition AS partition, _offset::INTEGER AS offset, _error AS error, _payload AS payload " +
      `FROM ${batch.unreadable.table} ORDER BY __flow_row`,
  );
  assert.equal(rows.length, batch.unreadable.count);
  return rows as unknown as Refused[];
}

async function offsetsOf(rig: FileRig, batch: SourceBatch): Promise<number[]> {
  const rows = await rig.rows(`SELECT _offset::INTEGER AS o FROM ${batch.table} ORDER BY o`);
  return rows.map((row) => Number(row["o"]));
}

/** Reads a query to its end and checks what every source must keep: each batch goes on where the one before ended. */
async function readAll(
  rig: FileRig,
  query: string,
  stored: readonly StoredOffset[] = [],
  options: Record<string, unknown> = {},
  maxBatchRows = 100_000,
) {
  const positions = new Map(stored.map(({ partition, position }) => [partition, position]));
  const source = await rig.source(query, options, {
    clock: hastyClock(),
    maxBatchRows,
    storedPositions: () => Promise.resolve(stored),
  });
  const batches = await rig.batches(source);
  const refused: Refused[] = [];
  const rows = new Map<string, number>();
  for (const batch of batches) {
    for (const { partition, from, to } of batch.ranges) {
      assert.equal(from, positions.get(partition) ?? null);
      positions.set(partition, to);
    }
    const counts = await rig.rows(
      `SELECT _partition AS p, count(*)::INTEGER AS n FROM ${batch.table} GROUP BY ALL`,
    );
    for (const { p, n } of counts) rows.set(String(p), (rows.get(String(p)) ?? 0) + Number(n));
    refused.push(...await refusedOf(rig, batch));
  }
  const offsets = [...positions].map(([partition, position]) => ({
    sourceId: query,
    partition,
    position,
  }));
  return { batches, refused, rows: Object.fromEntries(rows), offsets };
}

fileTest("a broken file is one refused row, the files around it are read", async (rig) => {
  const cut = gzipSync(text(lines(50).join("\n")));
  // In the order in which they are read: a file rests for a while before it counts as broken.
  await rig.put("a.jsonl", '{"id":1}\n{"id":2}\n');
  await rig.put("b.parquet", "no parquet at all");
  await rig.put("c.jsonl.gz", cut.subarray(0, cut.length - 20));
  await rig.put("d.csv", Uint8Array.of(0xff, 0xfe, ...[..."id,n\n1,2\n"].flatMap(utf16)));
  await rig.put("e.csv", "id,n\n1,2\n");
  await rig.put("f.csv", Uint8Array.of(0xe4, 0x2c, 0x62, 0x0a, 0x31, 0x2c, 0x32, 0x0a));
  await rig.put("g.csv.gz", "no archive");
  await rig.put("h.json.gz", "");
  await rig.put("i.jsonl.zst", "no archive either");
  await rig.put("j.csv", Uint8Array.from([..."id,n\n1,2\n"].flatMap(utf16)));
  await rig.put("k.jsonl", '{"id":3}\n');
  await rig.put("l.jsonl.zst", zstdCompressSync(text(lines(50).join("\n"))).subarray(0, 300));
  const { refused, rows, offsets } = await readAll(rig, "");
  assert.deepEqual(rows, { "a.jsonl": 2, "c.jsonl.gz": 49, "e.csv": 1, "k.jsonl": 1 });
  assert.deepEqual(refused.map(({ partition, offset }) => `${partition} ${offset}`), [
    "b.parquet 0",
    "c.jsonl.gz 49",
    "d.csv 0",
    "f.csv 0",
    "g.csv.gz 0",
    "h.json.gz 0",
    "i.jsonl.zst 0",
    "j.csv 0",
    "l.jsonl.zst 0",
  ]);
  const reasons = [
    /^the file 'b\.parquet' cannot be read: .*(too small|magic bytes).*'b\.parquet'/,
    /^the rest of the file 'c\.jsonl\.gz', from row 49 on, cannot be read: unexpected end of file$/,
    /it is UTF-16/,
    /header is not UTF-8/,
    /incorrect header check/,
    /unexpected end of file/,
    /Zstd/,
    /NUL bytes/,
    /unexpected end of file/,
  ];
  for (const [at, { error, partition, payload }] of refused.entries()) {
    assert.match(error, reasons[at] ?? /^$/);
    assert.equal(payload, partition);
  }
  const refusedAt = offsets.find(({ partition }) => partition === "b.parquet")?.position;
  assert.equal(withoutSeal(refusedAt), "0;done");
  // It is not read again as long as it stays as it is.
  const again = await readAll(rig, "", offsets);
  assert.deepEqual(again.batches, []);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(rig.engine.scratchDir)), []);
});

function utf16(character: string): number[] {
  return [character.charCodeAt(0), 0];
}

for (const [kind, header] of [["jsonl", ""], ["csv", "id,x\n"]] as const) {
  fileTest(
    `the rows in front of the fault stay (${kind}.gz), from any position on`,
    async (rig) => {
      const all = kind === "csv"
        ? lines(20_000).map((_line, at) => `${at},${Math.sin(at)}`)
        : lines(20_000);
      const packed = gzipSync(text(header + all.join("\n")));
      const path = `a.${kind}.gz`;
      await rig.put(path, packed.subarray(0, packed.length >> 1));
      await rig.put(`b.${kind}`, `${header}${all.slice(0, 3).join("\n")}\n`);
      const whole = await readAll(rig, "", [], {}, 1500);
      const read = whole.rows[path] ?? 0;
      assert.ok(read > 1500 && read < 20_000, `${read} rows`);
      assert.equal(whole.rows[`b.${kind}`], 3);
      assert.deepEqual(whole.refused.map(({ partition, offset }) => [partition, offset]), [
        [path, read],
      ]);
      assert.match(
        whole.refused[0]?.error ?? "",
        new RegExp(`from row ${read} on, cannot be read`),
      );
      const end = whole.offsets.find(({ partition }) => partition === path);
      assert.equal(withoutSeal(end?.position), `${read + 1};done`);
      // A kill may come after any batch: the next run goes on from there and comes to the same rows and the same refusal.
      for (const { ranges, unreadable } of whole.batches) {
        const [range] = ranges;
        if (range?.partition !== path || unreadable !== undefined) continue;
        const done = Number(range.to.split(";")[0]);
        const rest = await readAll(rig, path, [{
          sourceId: path,
          partition: path,
          position: range.to,
        }]);
        assert.equal((rest.rows[path] ?? 0) + done, read);
        assert.deepEqual(rest.refused.map(({ offset }) => offset), [read]);
      }
    },
  );
}

fileTest("Parquet pages that are broken cost the rows from there on", async (rig) => {
  const exported = await rig.session.exportParquet(
    "SELECT i AS id, 'name ' || (i * 7919 % 10007) AS name FROM range(400000) r(i)",
    "snappy",
  );
  const bytes = await Deno.readFile(exported);
  await Deno.remove(exported);
  bytes.fill(0xff, Math.floor(bytes.length * 0.8), Math.floor(bytes.length * 0.81));
  await rig.put("a.parquet", bytes);
  const { refused, rows } = await readAll(rig, "*.parquet", [], {}, 50_000);
  const read = rows["a.parquet"] ?? 0;
  assert.ok(read >= 50_000 && read < 400_000, `${read} rows`);
  assert.deepEqual(refused.map(({ offset }) => offset), [read]);
});

fileTest("a seek back over a refused file refuses it once more", async (rig) => {
  await rig.put("a.parquet", "no parquet at all");
  const source = await rig.source("a.parquet", {}, { clock: hastyClock() });
  let seen = 0;
  for await (const batch of source.read(AbortSignal.timeout(20_000))) {
    if (batch === undefined) continue;
    seen += 1;
    assert.equal(batch.rows, 0);
    assert.deepEqual((await refusedOf(rig, batch)).map(({ offset }) => offset), [0]);
    if (seen > 1) continue;
    await source.seek([{ sourceId: "a.parquet", partition: "a.parquet", position: "0" }]);
  }
  await source.close();
  assert.equal(seen, 2);
});

for (const path of ["a.jsonl.gz", "a.jsonl.zst", "a.csv.gz", "a.parquet"]) {
  fileTest(`a copy that stalls is not taken for broken (${path})`, async (rig) => {
    const content = await contentOf(rig, path, 20_000);
    const half = content.length >> 1;
    await rig.put(path, content.subarray(0, half));
    const clock = hastyClock();
    const source = await rig.source(path, { poll_interval_ms: 500 }, { untilEnd: false, clock });
    const offsets: number[] = [];
    let copied = false;
    for await (const batch of source.read(AbortSignal.timeout(20_000))) {
      if (batch !== undefined) {
        assert.deepEqual(await refusedOf(rig, batch), []);
        offsets.push(...await offsetsOf(rig, batch));
        if (offsets.length === 20_000) break;
      } else if (!copied && clock.waitedMs > BROKEN_AFTER_REST_MS / 2) {
        copied = true;
        await rig.put(path, content.subarray(half), true);
      }
    }
    await source.close();
    assert.ok(copied);
    assert.deepEqual(offsets, Array.from({ length: 20_000 }, (_o, at) => at));
  });
}

async function contentOf(rig: FileRig, path: string, rows: number): Promise<Uint8Array> {
  if (path === "a.jsonl.gz") return gzipSync(text(lines(rows).join("\n")));
  if (path === "a.jsonl.zst") return zstdCompressSync(text(lines(rows).join("\n")));
  if (path === "a.csv.gz") {
    return gzipSync(
      text(`id,x\n${lines(rows).map((_l, at) => `${at},${Math.sin(at)}`).join("\n")}`),
    );
  }
  const exported = await rig.session.exportParquet(
    `SELECT i AS id FROM range(${rows}) r(i)`,
    "snappy",
  );
  const bytes = await Deno.readFile(exported);
  await Deno.remove(exported);
  return bytes;
}

fileTest("a fresh file that is broken is refused when it has long been at rest", async (rig) => {
  for (const untilEnd of [false, true]) {
    const path = `${untilEnd}.parquet`;
    await rig.put(path, "no parquet at all");
    // A file's time may come from a machine whose clock is ahead.
    if (untilEnd) {
      await Deno.utime(`${rig.base}/${path}`, new Date(), new Date(Date.now() + 60_000));
    }
    const clock = hastyClock();
    const source = await rig.source(path, { poll_interval_ms: 500 }, { untilEnd, clock });
    let refused: Refused[] = [];
    for await (const batch of source.read(AbortSignal.timeout(20_000))) {
      if (batch === undefined) continue;
      refused = await refusedOf(rig, batch);
      break;
    }
    await source.close();
    assert.deepEqual(refused.map(({ partition }) => partition), [path]);
    assert.ok(clock.waitedMs >= BROKEN_AFTER_REST_MS - 1000, `${clock.waitedMs} ms`);
    const said = rig.notices.filter((notice) => notice.includes(`'${path}' cannot be read yet`));
    assert.equal(said.length, 1);
  }
});

Deno.test("object_store_local: what is not the file's fault is no broken file", () => {
  const place = { copy: "/scratch/1.parquet", path: "a.parquet", realPath: "/data/a.parquet" };
  const fault = (code: string, message: string) =>
    engineFault(new FlowError(message, { code, domain: "user" }), place);
  assert.equal(fault("sql_out_of_memory", "the engine's memory does not suffice"), undefined);
  assert.equal(fault("sql_interrupted", "the statement was interrupted"), undefined);
  assert.equal(fault("sql_failed", "IO Error: Could not write file: No space left"), undefined);
  assert.equal(engineFault(new TypeError("x"), place), undefined);
  assert.match(
    fault("sql_invalid", "Invalid Input Error: No magic bytes in '/scratch/1.parquet'")?.reason ??
      "",
    /in 'a\.parquet'$/,
  );
  assert.equal(isArchiveFault(new Deno.errors.PermissionDenied("denied")), false);
  assert.equal(isArchiveFault(Object.assign(new Error("memory"), { code: "Z_MEM_ERROR" })), false);
  assert.equal(isArchiveFault(Object.assign(new Error("cut"), { code: "Z_BUF_ERROR" })), true);
});
