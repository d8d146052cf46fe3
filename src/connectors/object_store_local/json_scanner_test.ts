import assert from "node:assert/strict";
import fc from "fast-check";
import { LineScanner, type RowScanner, ValueScanner } from "./json_scanner.ts";
import { newSpans } from "./payload_builder.ts";

/** All rows that a scanner finds when the bytes come in pieces of these sizes, over and over. */
function scanAll(scanner: RowScanner, text: string, sizes: readonly number[], rows = 3): string[] {
  const bytes = new TextEncoder().encode(text);
  const found: string[] = [];
  let from = 0;
  let to = 0;
  for (let step = 0;; step += 1) {
    const spans = { ...newSpans(rows), anyFirst: true };
    const final = to === bytes.length;
    const view = bytes.subarray(0, to);
    from = scanner.scan(view, from, spans, 1000, final);
    for (let row = 0; row < spans.count; row += 1) {
      found.push(new TextDecoder().decode(view.subarray(spans.starts[row], spans.ends[row])));
    }
    if (spans.count > 0) continue;
    if (final) return found;
    to = Math.min(bytes.length, to + (sizes[step % sizes.length] ?? 1));
  }
}

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });

Deno.test("ValueScanner finds the elements of any array, whatever the pieces are", () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue(), { maxLength: 20 }),
      fc.nat(3),
      sizes,
      (values, indent, s) => {
        const text = JSON.stringify(values, null, indent);
        const found = scanAll(new ValueScanner(0, true, false), text, s);
        assert.deepEqual(found.map((row) => JSON.parse(row)), JSON.parse(text));
      },
    ),
  );
});

Deno.test("ValueScanner finds values that follow one another", () => {
  fc.assert(
    fc.property(
      fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 10 }),
      sizes,
      (values, s) => {
        const text = values.map((value) => JSON.stringify(value, null, 2)).join("\n");
        const found = scanAll(new ValueScanner(0, false, false), text, s);
        assert.deepEqual(found.map((row) => JSON.parse(row)), JSON.parse(JSON.stringify(values)));
      },
    ),
  );
});

Deno.test("scanners look at each byte once, however many pieces a row comes in", () => {
  const open = `{"a":[${'{"b":"x\\\\y\\"]}"},'.repeat(2000)}`;
  for (
    const [scanner, text] of [
      [new ValueScanner(0, true, false), `[${open}`],
      [new ValueScanner(0, false, false), `${open}"${"z".repeat(20_000)}`],
      [new ValueScanner(0, true, false), `["${"z".repeat(20_000)}`],
      [new ValueScanner(0, true, false), `[${"1".repeat(20_000)}`],
      [new LineScanner(0), "z".repeat(20_000)],
    ] as const
  ) {
    const bytes = new TextEncoder().encode(text);
    let from = 0;
    for (let to = 10; to < bytes.length; to += 10) {
      // What was looked at is written over: looking at it again would end the row.
      const spans = { ...newSpans(3), anyFirst: true };
      from = scanner.scan(bytes.subarray(0, to), from, spans, 1000, false);
      assert.equal(spans.count, 0, text.slice(0, 10));
      bytes.fill(0x0a, from + 1, to - 2);
    }
  }
});

Deno.test("LineScanner finds lines, whatever the pieces are", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 30 })),
      fc.constantFrom("\n", "\r\n"),
      sizes,
      (values, end, s) => {
        const lines = values.map((value) => JSON.stringify(value));
        assert.deepEqual(scanAll(new LineScanner(0), lines.join(end), s), lines);
        assert.deepEqual(scanAll(new LineScanner(0), lines.map((l) => l + end).join(""), s), lines);
      },
    ),
  );
});

Deno.test("LineScanner counts blank lines, but takes no rows from them", () => {
  const spans = newSpans(10);
  const bytes = new TextEncoder().encode('\n{"a":1}\n\n  \r\n{"b":2}\n');
  assert.equal(new LineScanner(5).scan(bytes, 0, spans, 1000, true), bytes.length);
  assert.deepEqual([...spans.numbers.subarray(0, spans.count)], [6, 9]);
});

Deno.test("a broken element does not hide its neighbours", () => {
  const broken = '[{"a":1},{"b":"x\n},{"c":3} , nonsense, {"d": [}, {"e":5}]';
  assert.deepEqual(scanAll(new ValueScanner(0, true, false), broken, [100]), [
    '{"a":1}',
    '{"b":"x\n}',
    '{"c":3}',
    "nonsense",
    '{"d": [}, {"e":5}]',
  ]);
});

Deno.test("a scanner stops at the bound of bytes", () => {
  const bytes = new TextEncoder().encode("1111\n2222\n3333\n");
  const spans = newSpans(10);
  assert.equal(new LineScanner(0).scan(bytes, 0, spans, 9, false), 10);
  assert.equal(spans.count, 2);
  assert.equal(spans.full, true);
});
