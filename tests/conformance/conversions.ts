/** One conversion of a value between types of the engine. */
export interface Conversion {
  readonly from: string;
  /** The value as the engine's text. */
  readonly value: string;
  readonly to: string;
  /** The engine's text of the outcome; absent where something would be lost, so that it must fail. */
  readonly outcome?: string;
}

const ZONED = "TIMESTAMP WITH TIME ZONE";

function kept(from: string, value: string, to: string, outcome: string): Conversion {
  return { from, value, to, outcome };
}

function lost(from: string, value: string, to: string): Conversion {
  return { from, value, to };
}

/** What every database, and the engine between two of them, makes of values of other types. */
export const CONVERSIONS: readonly Conversion[] = [
  lost("DOUBLE", "1.5", "BIGINT"),
  kept("DOUBLE", "3.0", "BIGINT", "3"),
  kept("VARCHAR", "42", "BIGINT", "42"),
  lost("VARCHAR", "1.5", "BIGINT"),
  lost("VARCHAR", "x", "BIGINT"),
  kept("VARCHAR", "1.50", "DECIMAL(18,2)", "1.50"),
  lost("VARCHAR", "1.255", "DECIMAL(18,2)"),
  kept("BIGINT", "9223372036854775807", "VARCHAR", "9223372036854775807"),
  lost("BIGINT", "40000", "SMALLINT"),
  lost("BIGINT", "9007199254740993", "DOUBLE"),
  kept("BIGINT", "9007199254740992", "DOUBLE", "9007199254740992.0"),
  kept("DOUBLE", "0.1", "DECIMAL(18,2)", "0.10"),
  lost("DOUBLE", "0.125", "DECIMAL(18,2)"),
  kept("VARCHAR", "0.1", "DOUBLE", "0.1"),

  kept("BIGINT", "0", "BOOLEAN", "false"),
  kept("BIGINT", "1", "BOOLEAN", "true"),
  lost("BIGINT", "2", "BOOLEAN"),
  lost("BIGINT", "-1", "BOOLEAN"),
  kept("DOUBLE", "1.0", "BOOLEAN", "true"),
  lost("DOUBLE", "2.5", "BOOLEAN"),
  lost("DOUBLE", "0.5", "BOOLEAN"),
  kept("DECIMAL(18,2)", "1.00", "BOOLEAN", "true"),
  lost("DECIMAL(18,2)", "0.50", "BOOLEAN"),
  kept("VARCHAR", "true", "BOOLEAN", "true"),
  lost("VARCHAR", "2", "BOOLEAN"),
  kept("BOOLEAN", "true", "VARCHAR", "true"),
  kept("BOOLEAN", "true", "BIGINT", "1"),
  kept("BOOLEAN", "false", "DOUBLE", "0.0"),
  kept("BOOLEAN", "true", "DECIMAL(18,2)", "1.00"),

  kept("VARCHAR", "2026-01-31T12:00:00+02:00", ZONED, "2026-01-31 10:00:00+00"),
  lost("VARCHAR", "soon", ZONED),
  lost("VARCHAR", "2026-02-30", "DATE"),
  lost("VARCHAR", "2026-01-31 12:00:00", "DATE"),
  kept("VARCHAR", "2026-01-31 00:00:00", "DATE", "2026-01-31"),
  kept("VARCHAR", "12:30:00.5", "TIME", "12:30:00.5"),
  kept("VARCHAR", "12:30:00.1234567", "TIME", "12:30:00.123456"),
  lost("VARCHAR", "2026-01-31 12:30:00", "TIME"),
  lost("VARCHAR", "12:30:00+02", "TIME"),
  kept(ZONED, "2026-01-31 12:00:00.5+00", "VARCHAR", "2026-01-31 12:00:00.5+00"),
  kept(ZONED, "2026-01-31 12:00:00.5+00", "TIMESTAMP", "2026-01-31 12:00:00.5"),
  kept("TIMESTAMP", "2026-01-31 12:00:00.5", ZONED, "2026-01-31 12:00:00.5+00"),
  kept("DATE", "2026-01-31", "TIMESTAMP", "2026-01-31 00:00:00"),
  kept("DATE", "2026-01-31", ZONED, "2026-01-31 00:00:00+00"),
  kept("TIMESTAMP", "2026-01-31 00:00:00", "DATE", "2026-01-31"),
  lost("TIMESTAMP", "2026-01-31 12:00:00", "DATE"),
  kept(ZONED, "2026-01-31 00:00:00+00", "DATE", "2026-01-31"),
  lost(ZONED, "2026-01-31 00:00:00.000001+00", "DATE"),
  lost("TIMESTAMP", "2026-01-31 12:00:00", "TIME"),
  lost(ZONED, "2026-01-31 12:00:00+00", "TIME"),
  lost("DATE", "2026-01-31", "TIME"),
  lost("TIME", "12:00:00", "TIMESTAMP"),
  lost("TIME", "12:00:00", ZONED),
  lost("TIME", "12:00:00", "DATE"),

  lost("DATE", "2026-01-31", "BIGINT"),
  lost("TIMESTAMP", "2026-01-31 12:00:00", "BIGINT"),
  lost("TIMESTAMP", "2026-01-31 12:00:00", "DOUBLE"),
  lost("TIME", "12:00:00", "BIGINT"),
  lost("TIME", "12:00:00", "DECIMAL(18,2)"),
  lost("TIME", "00:00:01", "BOOLEAN"),
  lost("BIGINT", "20260131", "DATE"),
  lost("BIGINT", "20260131", "TIMESTAMP"),
  lost("BIGINT", "20260131", ZONED),
  lost("BIGINT", "12", "TIME"),
  lost("BOOLEAN", "true", "DATE"),
  lost("BOOLEAN", "true", "TIME"),

  kept("BLOB", "\\xC3\\xA9\\x0A", "VARCHAR", "é\n"),
  lost("BLOB", "\\xFF", "VARCHAR"),
  kept("VARCHAR", "é", "BLOB", "\\xC3\\xA9"),
  lost("BLOB", "12", "BIGINT"),
  lost("BLOB", "1", "BOOLEAN"),
  lost("BLOB", "2026-01-31", "DATE"),
  lost("BIGINT", "12", "BLOB"),
  lost("BOOLEAN", "true", "BLOB"),
  lost("DATE", "2026-01-31", "BLOB"),
];
