import type { Connector } from "../../core/connector.ts";
import { type DatagenOptions, sourceOptions } from "./options.ts";
import { DatagenSource } from "./source.ts";

/** Made-up rows: for demos, tests and benchmarks. */
export const datagenConnector: Connector = {
  kind: "datagen",
  connectionOptions: {},
  sourceOptions,

  createSource({ sourceId, options }) {
    // Validated by the entries above.
    return new DatagenSource(sourceId, options as unknown as DatagenOptions);
  },

  check() {
    return Promise.resolve({ detail: "makes its rows by itself" });
  },
};
