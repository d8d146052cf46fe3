/**
 * Prints the JSON Schema of pipeline files, for editors: `deno run -A scripts/json_schema.ts > flow.schema.json`. It is made from the
 * same schemas that validate.
 */
import { jsonSchema } from "../src/config/json_schema.ts";
import { connectors } from "../src/connectors/mod.ts";

if (import.meta.main) console.log(JSON.stringify(jsonSchema(connectors), null, 2));
