/** The pipelines that batch fault tests kill: one of each mode over one small source, what changes there, and what each target then holds. */
import type { DatabaseKind } from "../../src/core/database.ts";
import type { Place } from "../batch/rig.ts";

/** Where the rows come from and go to; one and the same place for loads within one database. */
export interface Ends {
  readonly from: Place;
  readonly to: Place;
}

/** The modes, each with a pipeline and a target table of its name (`append`, `append_rows`). */
export const MODES = ["append", "truncate", "merge", "incremental", "scd2"] as const;
export type Mode = typeof MODES[number];

/** The table that a mode's pipeline writes. */
export function tableOf(mode: Mode): string {
  return `${mode}_rows`;
}

const KEYS: Readonly<Record<Mode, string>> = {
  append: 'incremental_column = "changed_at"',
  truncate: "",
  merge: 'keys = ["id"]\nhandle_deletes = "hard"',
  incremental: 'keys = ["id"]\nincremental_column = "changed_at"',
  scd2: `keys = ["id"]
compare_columns = ["name"]
event_timestamp_column = "changed_at"
handle_deletes = "soft"`,
};

/** The definition of all modes. The second edition declares a column more, so that its first run changes the table. */
export function definition(ends: Ends, edition: 1 | 2): string {
  const names = edition === 1 ? "id, name, changed_at" : "id, name, changed_at, note";
  const note = edition === 1 ? "" : '\nnote = { type = "string(50)", nullable = true }';
  const pipelines = MODES.map((mode) =>
    `[tables.${mode}]
name = "${tableOf(mode)}"
[tables.${mode}.columns]
id = "bigint"
name = "string(50)"
changed_at = "timestamp"${note}

[[pipeline]]
name = "${mode}"
target = "${mode}"
mode = "${mode}"
schedule = "0 0 * * *"
source = "SELECT ${names} FROM source_rows${
      mode === "append" ? " WHERE changed_at > $watermark" : ""
    }"
source_connection = "from"
target_connection = "to"
${KEYS[mode]}
`
  );
  return `${connections(ends)}\n${pipelines.join("\n")}`;
}

/** The `[connections.from]` and `[connections.to]` of a definition. */
export function connections({ from, to }: Ends): string {
  const one = (name: string, { kind, options }: Place) =>
    `[connections.${name}]\nkind = "${kind}"\n${
      Object.entries(options).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`).join("")
    }`;
  return `${one("from", from)}\n${one("to", to)}`;
}

/** Makes the source, as it is before the first run. */
export function sourceStatements(kind: DatabaseKind): readonly string[] {
  const time = kind === "mysql" ? "DATETIME(6)" : "TIMESTAMP";
  return [
    `CREATE TABLE source_rows (id BIGINT PRIMARY KEY, name VARCHAR(50), changed_at ${time}, note VARCHAR(50))`,
    `INSERT INTO source_rows VALUES ${row(1, "Al", 1)}, ${row(2, "Bo", 2)}, ${row(3, "Cy", 3)}`,
  ];
}

/** What happens in the source between the first run and those that are killed. */
export const CHANGES: readonly string[] = [
  `UPDATE source_rows SET name = 'Bea', changed_at = ${time(5)} WHERE id = 2`,
  "DELETE FROM source_rows WHERE id = 3",
  `INSERT INTO source_rows VALUES ${row(4, "Di", 4)}`,
];

function row(id: number, name: string, second: number): string {
  return `(${id}, '${name}', ${time(second)}, 'note ${id}')`;
}

function time(second: number): string {
  return `'2026-01-01 00:00:0${second}.000000'`;
}

const FIRST = ["1 Al 1", "2 Bo 2", "3 Cy 3"];

/**
 * What a target holds before and after the change, by key and time: `id name second note`, for scd2 with the second from which the version is valid, and whether it
 * is the current one.
 */
export const EXPECTED: Readonly<
  Record<Mode, { readonly before: readonly string[]; readonly after: readonly string[] }>
> = {
  append: {
    before: FIRST,
    after: ["1 Al 1 -", "2 Bo 2 -", "2 Bea 5 note 2", "3 Cy 3 -", "4 Di 4 note 4"],
  },
  truncate: { before: FIRST, after: ["1 Al 1 note 1", "2 Bea 5 note 2", "4 Di 4 note 4"] },
  merge: { before: FIRST, after: ["1 Al 1 note 1", "2 Bea 5 note 2", "4 Di 4 note 4"] },
  incremental: {
    before: FIRST,
    after: ["1 Al 1 -", "2 Bea 5 note 2", "3 Cy 3 -", "4 Di 4 note 4"],
  },
  scd2: {
    before: ["1 Al 1 from 1 current", "2 Bo 2 from 2 current", "3 Cy 3 from 3 current"],
    after: [
      "1 Al 1 - from 1 current",
      "2 Bo 2 - from 2 closed",
      "2 Bea 5 note 2 from 5 current",
      "3 Cy 3 - from 3 closed",
      "4 Di 4 note 4 from 4 current",
    ],
  },
};
