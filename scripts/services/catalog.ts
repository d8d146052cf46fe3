/** The list of systems that tests and benchmarks can start: one line each. */
import { kafka } from "./kafka.ts";
import { mariadb } from "./mariadb.ts";
import { postgres } from "./postgres.ts";
import type { ServiceDefinition } from "./service.ts";

export const CATALOG: readonly ServiceDefinition[] = [
  kafka,
  mariadb,
  postgres,
];
