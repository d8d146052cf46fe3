import assert from "node:assert/strict";
import type { DatabaseKind } from "../core/database.ts";
import { findParameters } from "./sql_parameters.ts";

function names(sql: string, kind?: DatabaseKind): string[] {
  const found = findParameters(sql, kind);
  for (const { name, start, end } of found) assert.equal(sql.slice(start, end), `$${name}`);
  return found.map(({ name }) => name);
}

Deno.test("parameters are found in order, with their places, repeated ones too", () => {
  const sql = "SELECT $a, b FROM t WHERE c > $watermark AND d=$a";
  assert.deepEqual(findParameters(sql), [
    { name: "a", start: 7, end: 9 },
    { name: "watermark", start: 30, end: 40 },
    { name: "a", start: 47, end: 49 },
  ]);
  assert.deepEqual(names("$a::date,$_b2+$größe"), ["a", "_b2", "größe"]);
  assert.deepEqual(names(""), []);
});

Deno.test("numbers and dollar signs within names are no parameters", () => {
  assert.deepEqual(names("SELECT $1, a$b, t$1.x$y, 5$c, $"), []);
});

Deno.test("texts, quoted names and comments are passed over", () => {
  for (
    const sql of [
      "'$x' $a",
      "'it''s $x' $a",
      `"$x" $a`,
      `"a""$x" $a`,
      "`$x` $a",
      "E'\\'$x' $a",
      "SELECT e'\\\\', $a, '$x'",
      "-- $x\n$a",
      "/* $x */ $a",
      "/* /* $x */ $y */ $a",
      "$$ $x $$ $a",
      "$tag$ $x $$ $other$ $tag$ $a",
      "U&'$x' N'$x' x'$x' $a",
      "$a -- $x",
      "$a /* $x",
      "$a '$x",
      "$a $tag$ $x",
    ]
  ) assert.deepEqual(names(sql), ["a"], sql);
});

Deno.test("a backslash is an ordinary character of a text, but under MySQL", () => {
  assert.deepEqual(names("'C:\\' || $a || '$x'"), ["a"]);
  assert.deepEqual(names("like'\\' || $a"), ["a"]);
  assert.deepEqual(names("'it\\'s $x', $a", "mysql"), ["a"]);
  assert.deepEqual(names('"it\\"s $x", $a', "mysql"), ["a"]);
  assert.deepEqual(names("'C:\\', $a", "sqlite"), ["a"]);
});

Deno.test("comments are those of the database", () => {
  assert.deepEqual(names("1 # $x\n + $a", "mysql"), ["a"]);
  assert.deepEqual(names("data #> $a", "postgres"), ["a"]);
  assert.deepEqual(names("5--$a", "mysql"), ["a"]);
  assert.deepEqual(names("5--$a\n$b", "postgres"), ["b"]);
  assert.deepEqual(names("/* /* $x */ $a", "mysql"), ["a"]);
  assert.deepEqual(names("/* /* $x */ $a"), ["a"]);
  assert.deepEqual(names("/* /* $x */ $y", "postgres"), []);
});

Deno.test("square brackets quote under SQLite, and are subscripts elsewhere", () => {
  assert.deepEqual(names("[$x] = $a", "sqlite"), ["a"]);
  assert.deepEqual(names("list[$i]", "postgres"), ["i"]);
  assert.deepEqual(names("$a$x$", "sqlite"), ["a", "x"]);
});
