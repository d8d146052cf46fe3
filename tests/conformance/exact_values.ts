/** How two texts of one value are compared. */
export type ValueKind =
  | "number"
  | "double"
  | "boolean"
  | "text"
  | "time"
  | "date"
  | "json"
  | "bytes";

/** A value that is easily changed on its way. */
export interface ExactValue {
  /** Name of its column. */
  readonly name: string;
  readonly kind: ValueKind;
  readonly sql: string;
  /** A text of the value. */
  readonly text: string;
}

/** One column per value. */
export const VALUES: readonly ExactValue[] = [
  {
    name: "bigint_max",
    kind: "number",
    sql: "9223372036854775807::BIGINT",
    text: "9223372036854775807",
  },
  {
    name: "bigint_min",
    kind: "number",
    sql: "(-9223372036854775808)::BIGINT",
    text: "-9223372036854775808",
  },
  {
    name: "past_double",
    kind: "number",
    sql: "9007199254740993::BIGINT",
    text: "9007199254740993",
  },
  {
    name: "ubigint_max",
    kind: "number",
    sql: "18446744073709551615::UBIGINT",
    text: "18446744073709551615",
  },
  {
    name: "hugeint",
    kind: "number",
    sql: "(-12345678901234567890123456789012345678)::HUGEINT",
    text: "-12345678901234567890123456789012345678",
  },
  { name: "cents", kind: "number", sql: "'0.10'::DECIMAL(18,2)", text: "0.1" },
  {
    name: "long_decimal",
    kind: "number",
    sql: "'12345678901234567890123456.789012345678'::DECIMAL(38,12)",
    text: "12345678901234567890123456.789012345678",
  },
  { name: "tenth", kind: "double", sql: "0.1::DOUBLE", text: "0.1" },
  { name: "minus_zero", kind: "double", sql: "'-0.0'::DOUBLE", text: "-0" },
  { name: "tiny", kind: "double", sql: "'5e-324'::DOUBLE", text: "5e-324" },
  {
    name: "large",
    kind: "double",
    sql: "'1.7976931348623157e308'::DOUBLE",
    text: "1.7976931348623157e308",
  },
  { name: "yes", kind: "boolean", sql: "true", text: "true" },
  { name: "empty", kind: "text", sql: "''", text: "" },
  {
    name: "unicode",
    kind: "text",
    sql: "'é😀 ''quoted\" \\N, ;\t' || chr(10) || chr(13) || '|'",
    text: "é😀 'quoted\" \\N, ;\t\n\r|",
  },
  { name: "null_word", kind: "text", sql: "'NULL'", text: "NULL" },
  {
    name: "zoned",
    kind: "time",
    sql: "TIMESTAMPTZ '2024-02-29 23:59:59.123456+05:30'",
    text: "2024-02-29T18:29:59.123456Z",
  },
  {
    name: "before_epoch",
    kind: "time",
    sql: "TIMESTAMPTZ '1900-01-01 00:00:00+00'",
    text: "1900-01-01T00:00:00Z",
  },
  {
    name: "local",
    kind: "time",
    sql: "TIMESTAMP '2024-02-29 23:59:59.5'",
    text: "2024-02-29T23:59:59.500000",
  },
  { name: "day", kind: "date", sql: "DATE '2024-02-29'", text: "2024-02-29" },
  { name: "bytes", kind: "bytes", sql: "'\\x00\\xFFA'::BLOB", text: "00ff41" },
  {
    name: "struct",
    kind: "json",
    sql:
      `{'inner': 9007199254740993, 'items': [1, NULL], 'label': 'é"', 'at': TIMESTAMPTZ '2024-01-01 00:00:00+00'}`,
    text: `{"inner":9007199254740993,"items":[1,null],"label":"é\\"","at":"2024-01-01T00:00:00Z"}`,
  },
  { name: "list", kind: "json", sql: "['a', NULL, '']", text: `["a",null,""]` },
];

/** A form in which equal values have equal texts. */
export function canonical(kind: ValueKind, text: string | null): string | null {
  if (text === null) return null;
  switch (kind) {
    case "number":
      return plainDecimal(text);
    case "double":
      return Object.is(Number(text), -0) ? "-0" : String(Number(text));
    case "boolean":
      return /^(true|t|1)$/i.test(text) ? "true" : /^(false|f|0)$/i.test(text) ? "false" : text;
    case "time":
      return canonicalTime(text);
    case "bytes":
      return text.replace(/^\\x/, "").toLowerCase();
    case "json":
      return canonicalJson(text);
    default:
      return text;
  }
}

function plainDecimal(text: string): string {
  const [, sign = "", whole = "", fraction = ""] = /^([+-]?)0*(\d*)(?:\.(\d*?)0*)?$/.exec(text) ??
    [];
  if (whole === "" && fraction === "") return /\d/.test(text) ? "0" : text;
  return `${sign === "-" ? "-" : ""}${whole === "" ? "0" : whole}${
    fraction === "" ? "" : `.${fraction}`
  }`;
}

/** Seconds without the fraction, and the fraction without trailing zeros; a time without a zone counts as UTC. */
function canonicalTime(text: string): string {
  const [, date, time, fraction = "", zone = "Z"] =
    /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d*?)0*)?(Z|[+-]\d\d(?::?\d\d)?)?$/.exec(text) ??
      [];
  if (date === undefined) return text;
  const offset = /^[+-]\d\d$/.test(zone) ? `${zone}:00` : zone;
  const seconds = Date.parse(`${date}T${time}${offset}`) / 1000;
  return `${seconds}.${fraction}`;
}

/** Without blanks outside of strings, keys in order, numbers as they are written. */
function canonicalJson(text: string): string {
  // Numbers become texts first: JSON.parse would round them.
  const quoted = text.replaceAll(
    /("(?:[^"\\]|\\.)*")|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g,
    (_all, string: string | undefined, number: string | undefined) => string ?? `"#${number}"`,
  );
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, sorted(v)]),
    );
  };
  return JSON.stringify(sorted(JSON.parse(quoted)));
}
