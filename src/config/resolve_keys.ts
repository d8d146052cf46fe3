import type { BatchTarget } from "../core/batch_spec.ts";
import type { DeclaredTable } from "../core/table_spec.ts";

/** The columns that tell rows of a target apart, and where they come from. */
export interface ResolvedKeys {
  /** Empty when the target has none. */
  readonly keys: readonly string[];
  /** In a few words, for `flow preview`. */
  readonly reason: string;
  /** Worth telling: the keys are others than the primary key that the table declares. */
  readonly warning?: string;
}

/**
 * The keys of a target under merge, scd2 and incremental: those given with the pipeline, else the table's `mergeKeys`, else its natural key,
 * else its first unique group, else its primary key.
 *
 * @example
 * ```ts ignore
 * const { keys, reason, warning } = resolveKeys(spec.targets[0]);
 * ```
 */
export function resolveKeys(
  { keys, table }: { readonly keys: BatchTarget["keys"]; readonly table: DeclaredTable },
): ResolvedKeys {
  if (keys.length > 0) return { keys, reason: "given with the pipeline" };
  if (table.mergeKeys.length > 0) {
    return { keys: table.mergeKeys, reason: "merge keys of the table" };
  }
  if (table.naturalKey.length > 0) {
    return derived(table, table.naturalKey, "natural key of the table");
  }
  const [unique] = table.uniqueGroups;
  if (unique !== undefined) return derived(table, unique, "first unique group of the table");
  return table.primaryKey.length > 0
    ? { keys: table.primaryKey, reason: "primary key of the table" }
    : { keys: [], reason: "the table declares no key" };
}

function derived(table: DeclaredTable, keys: readonly string[], reason: string): ResolvedKeys {
  const { primaryKey } = table;
  const isSame = primaryKey.length === keys.length && keys.every((key) => primaryKey.includes(key));
  if (primaryKey.length === 0 || isSame) return { keys, reason };
  return {
    keys,
    reason,
    warning: `merge keys resolved to (${keys.join(", ")}), the ${reason}, which differs from the ` +
      `declared primary key (${
        primaryKey.join(", ")
      }). Give keys with the pipeline to silence this`,
  };
}
