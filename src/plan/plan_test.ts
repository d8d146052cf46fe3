import assert from "node:assert/strict";
import { duckdbConnector } from "../connectors/duckdb/connector.ts";
import { sqliteConnector } from "../connectors/sqlite/connector.ts";
import type { Connector } from "../core/connector.ts";
import type { Sink } from "../core/sink.ts";
import type { Source } from "../core/source.ts";
import type { StreamingSpec, TargetSpec } from "../core/spec.ts";
import { planStream } from "./plan.ts";

/** A connector whose targets lock what their options say. */
const locking: Connector = {
  kind: "locking",
  connectionOptions: {},
  createSource: ({ sourceId }) =>
    ({
      sourceId,
      reads: (place: string) => place === sourceId,
      traits: { seekable: true, ends: true, storesPositions: false },
    }) as unknown as Source,
  createSink: ({ options }) =>
    ({
      targetId: "locking",
      traits: { transactional: true, modes: ["append"], hasSchema: true, keepsText: false },
      ...options,
    }) as unknown as Sink,
};

function specWith(options: readonly TargetSpec["options"][]): StreamingSpec {
  return {
    name: "p",
    origin: { file: "p.toml" },
    sources: [{ sourceId: "s", kind: "locking", query: "s", options: {} }],
    targets: options.map((own) => ({
      kind: "locking",
      options: own,
      mode: "append",
      keys: [],
      create: true,
    })),
    delivery: "auto",
    idlePauseMs: 500,
    maxBatchRows: 1000,
    maxBatchBytes: 1000,
    maxBatchWaitMs: 100,
  };
}

Deno.test("targets that would wait for one another's locks are refused", () => {
  const one = { exclusiveTable: "public.events at db:5432/flow" };
  const other = { exclusiveTable: "public.events at db:5432/other" };
  assert.throws(() => planStream(specWith([one, other, one]), [locking]), {
    code: "targets_share_table",
    message: "two targets of the pipeline write to the same table public.events at db:5432/flow",
  });
  const file = { exclusiveFile: "x.duckdb" };
  assert.throws(() => planStream(specWith([file, one, file]), [locking]), {
    code: "targets_share_file",
  });
  assert.equal(planStream(specWith([one, other, file, {}, {}]), [locking]).targets.length, 5);
});

Deno.test("two spellings of one file's path are one file", () => {
  for (const connector of [sqliteConnector, duckdbConnector]) {
    const spec = specWith([{ path: "x.db" }, { path: "./y/../x.db" }]);
    const targets = spec.targets.map((target) => ({
      ...target,
      kind: connector.kind,
      table: { name: "t" },
    }));
    assert.throws(() => planStream({ ...spec, targets }, [locking, connector]), {
      code: "targets_share_file",
    });
  }
});

Deno.test("a pipeline that reads what it writes is refused", () => {
  assert.throws(() => planStream(specWith([{ place: "other" }, { place: "s" }]), [locking]), {
    code: "pipeline_feeds_itself",
    message: /source 's' reads target locking/,
  });
  planStream(specWith([{ place: "other" }]), [locking]);
});
