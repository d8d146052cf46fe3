import * as v from "valibot";
import type { Connector, Options } from "../../core/connector.ts";
import { FlowError } from "../../core/error.ts";
import { type MemoryBroker, memoryBroker } from "./broker.ts";
import { MemorySink } from "./sink.ts";
import { MemorySource } from "./source.ts";

export { memoryBroker } from "./broker.ts";

/** Topics and tables of this process: the reference connector, for tests. */
export const memoryConnector: Connector = {
  kind: "memory",
  connectionOptions: {
    broker: v.optional(
      v.pipe(v.string(), v.description("Name of the broker within this process.")),
      "default",
    ),
  },
  sourceOptions: {},
  targetOptions: {},
  targetNeedsTable: true,

  createSource({ sourceId, query, options }) {
    return new MemorySource(sourceId, query, brokerOf(options));
  },

  createSink(request) {
    if (request.table === undefined) {
      throw new FlowError("a memory target needs a table", {
        code: "option_missing",
        domain: "user",
        hint: 'add [target.table] with name = "…"',
      });
    }
    const { schema, name } = request.table;
    const table = schema === undefined ? name : `${schema}.${name}`;
    return new MemorySink(request, table, brokerOf(request.options));
  },

  check(options) {
    return Promise.resolve({ detail: `broker ${brokerOf(options).name} of this process` });
  },
};

function brokerOf(options: Options): MemoryBroker {
  return memoryBroker(String(options["broker"] ?? "default"));
}
