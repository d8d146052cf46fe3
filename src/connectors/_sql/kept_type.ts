/** Lists, structs, maps and unions of the engine. */
const NESTED = /\]$|^(STRUCT|MAP|UNION)\(/;
const FINER_OR_COARSER = /^TIMESTAMP_(S|MS|NS)$/;

/** `Dialect.keptType` of a database without lists, structs and the like, whose times have microseconds. */
export function keptType(type: string): string {
  if (NESTED.test(type)) return "JSON";
  return FINER_OR_COARSER.test(type) ? "TIMESTAMP" : type;
}
