import assert from "node:assert/strict";
import { batchProblems, tomlBatch } from "./batch_fixtures.ts";
import { columnType } from "./column_type.ts";

/** The problems of a table of a file that has no pipelines. */
function problems(lines: string): Promise<string[]> {
  return batchProblems(tomlBatch(`[tables.t]\n${lines}\n`));
}

Deno.test("a column's type, its NULLs and its normalizers fit together", async () => {
  assert.deepEqual(
    await problems(`[tables.t.columns]
g = { type = "text", normalize = ["lowr"] }
h = { type = "text", primary_kye = true }
i = 5`),
    [
      'p.toml:3:35: tables.t.columns.g.normalize[0]: expected "lower" or "upper" or "trim" or "empty_to_null" or "parse_timestamp", got "lowr" (did you mean "lower"?)',
      "p.toml:4:22: tables.t.columns.h.primary_kye: unknown key (did you mean primary_key?)",
      "p.toml:5:1: tables.t.columns.i: expected a text in quotes or a table with type, primary_key, natural_key, nullable, normalize, got 5",
    ],
  );
  assert.deepEqual(
    await problems(`[tables.t.columns]
id = { type = "bigint", primary_key = true, nullable = true }
a = "bigin"
b = { type = "decimal(40, 2)" }
c = { type = "bigint", normalize = ["lower"] }
d = { type = "text", normalize = ["trim", "parse_timestamp"] }
e = { type = "timestamptz", normalize = ["trim"] }
f = { type = "timestamptz", normalize = ["trim", "empty_to_null", "parse_timestamp"] }`),
    [
      "p.toml:3:45: column 'id': nullable: a column of the primary key takes no NULL, and nullable contradicts (leave out nullable or primary_key)",
      "p.toml:4:1: column 'a': \"bigin\" is no type (did you mean bigint?)",
      "p.toml:5:7: column 'b': type: \"decimal(40, 2)\" is no type: a decimal has 1 to 38 digits, and no more of them after the point (such as decimal(18, 2))",
      "p.toml:6:37: column 'c': normalize: lower applies to texts, and the column is of type BIGINT (declare the column as text, or leave it out)",
      "p.toml:7:43: column 'd': normalize: parse_timestamp makes a time of a text, and the column is of type VARCHAR (declare it as timestamptz, timestamp or date)",
      "p.toml:8:42: column 'e': normalize: trim applies to texts, and the column is of type TIMESTAMP WITH TIME ZONE (put parse_timestamp behind it, if the source gives texts)",
    ],
  );
});

Deno.test("names of columns are the user's own, and told apart whatever their case", async () => {
  assert.deepEqual(
    await problems(
      `columns = { _loaded_at = "text", _BATCH_ID = "text", Name = "text", name = "text" }
unique = [["name", "nmae"], ["name", "name"]]
merge_keys = ["x"]`,
    ),
    [
      "p.toml:2:13: column '_loaded_at': flow adds a column of this name itself (leave it out, or rename yours)",
      "p.toml:2:34: column '_BATCH_ID': flow adds a column of this name itself (leave it out, or rename yours)",
      "p.toml:2:69: column 'name': differs from column 'Name' in upper and lower case only (databases take them for the same name: rename one)",
      "p.toml:3:20: tables.t.unique[0][1]: the table declares no column 'nmae' (did you mean name?)",
      "p.toml:3:38: tables.t.unique[1][1]: 'name' is given twice",
      "p.toml:4:15: tables.t.merge_keys[0]: the table declares no column 'x' (its columns: _loaded_at, _BATCH_ID, Name, name)",
    ],
  );
});

Deno.test("columns of versions are flow's own under scd2 only", async () => {
  const text = (mode: string) =>
    tomlBatch(`[[pipeline]]
name = "p"
target = "t"
mode = "${mode}"
source = "SELECT 1"
[tables.t]
columns = { id = { type = "bigint", primary_key = true }, valid_from = "date", row_hash = "bytes" }
`);
  assert.deepEqual(await batchProblems(text("scd2")), [
    "p.toml:7:59: column 'valid_from': flow adds a column of this name itself under mode scd2 (leave it out, or rename yours)",
    "p.toml:7:80: column 'row_hash': flow adds a column of this name itself under mode scd2 (leave it out, or rename yours)",
  ]);
  assert.equal((await (await text("merge")).batchAll()).length, 1);
});

Deno.test("a table goes by its name in the file, unless it gives another", async () => {
  const refs = async (lines: string) => {
    const text =
      `[[pipeline]]\nname = "p"\ntarget = "t"\nsource = "SELECT 1"\n[tables.t]\n${lines}`;
    return (await (await tomlBatch(text)).batch()).targets[0]?.table.ref;
  };
  assert.deepEqual(await refs(""), { name: "t" });
  assert.deepEqual(await refs('schema = "s"\nname = "other"\n'), { schema: "s", name: "other" });
});

Deno.test("types are read in any case, by the engine's names and the builders'", () => {
  const types: readonly (readonly [string, string, number?])[] = [
    ["BIGINT", "BIGINT"],
    ["Integer", "INTEGER"],
    ["smallint", "SMALLINT"],
    ["text", "VARCHAR"],
    ["VARCHAR", "VARCHAR"],
    ["string(256)", "VARCHAR", 256],
    ["VarChar( 10 )", "VARCHAR", 10],
    ["boolean", "BOOLEAN"],
    ["double", "DOUBLE"],
    ["real", "FLOAT"],
    ["decimal(18, 2)", "DECIMAL(18,2)"],
    ["NUMERIC(5)", "DECIMAL(5,0)"],
    ["decimal", "DECIMAL(18,3)"],
    ["date", "DATE"],
    ["time", "TIME"],
    ["timestamp", "TIMESTAMP"],
    ["TimestampTZ", "TIMESTAMP WITH TIME ZONE"],
    ["TIMESTAMP  WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE"],
    ["uuid", "UUID"],
    ["json", "JSON"],
    ["bytes", "BLOB"],
    ["BLOB", "BLOB"],
  ];
  for (const [text, type, maxLength] of types) {
    const expected = maxLength === undefined ? { type } : { type, maxLength };
    assert.deepEqual(columnType(text), expected, text);
  }
});

Deno.test("what is no type is told why", () => {
  const of = (text: string) => {
    const found = columnType(text);
    return "problem" in found ? `${found.problem} (${found.hint ?? ""})` : found;
  };
  assert.equal(of("timestampz"), '"timestampz" is no type (did you mean timestamp?)');
  assert.match(String(of("geography")), /^"geography" is no type \(types: bigint, /);
  assert.equal(of("bigint(20)"), '"bigint(20)" is no type: bigint takes no size (write bigint)');
  for (const text of ["string(0)", "string()", "string(a)", "text(1, 2)", "string(1.5)"]) {
    assert.match(String(of(text)), /the size of a text is its most characters/, text);
  }
  for (const text of ["decimal(0, 0)", "decimal(39, 2)", "decimal(5, 6)", "decimal(1, 1, 1)"]) {
    assert.match(String(of(text)), /a decimal has 1 to 38 digits/, text);
  }
  assert.match(String(of("")), /^"" is no type/);
});
