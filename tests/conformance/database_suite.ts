import { type DatabaseCase, exceptionsTest } from "./database_rig.ts";
import { dialectSuite } from "./database_dialect_suite.ts";
import { sessionSuite } from "./database_session_suite.ts";
import { valuesSuite } from "./database_values_suite.ts";

/** Everything that `Database`, `DatabaseSession` and `Dialect` promise, over one database. */
export function databaseSuite(tested: DatabaseCase): void {
  valuesSuite(tested);
  dialectSuite(tested);
  sessionSuite(tested);
  exceptionsTest(tested);
}
