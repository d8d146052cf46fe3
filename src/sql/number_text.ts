/** The text that DuckDB writes for a DOUBLE: `1.0`, `1e+16`, `inf`. */
export function doubleText(value: number): string {
  return numberText(value, String(value));
}

/** The text that DuckDB writes for a FLOAT: the fewest digits that give the 32-bit number again. */
export function floatText(value: number): string {
  for (let precision = 1; precision < 9; precision += 1) {
    const text = value.toPrecision(precision);
    if (Math.fround(Number(text)) === value) return numberText(value, text);
  }
  return numberText(value, value.toPrecision(9));
}

function numberText(value: number, shortest: string): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const [digits = "", exponentText = "0"] = Number(shortest).toExponential().split("e");
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) {
    return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const decimals = Math.max(1, digits.replace(/[-.]/g, "").length - 1 - exponent);
  return Number(shortest).toFixed(decimals);
}
