import { findParameters } from "../config/sql_parameters.ts";
import type { Dialect } from "../core/database.ts";
import type { SqlValue } from "../core/session.ts";

/** A statement with the values of its parameters. */
export interface Statement {
  readonly sql: string;
  readonly params: readonly SqlValue[];
}

/** A value for a named parameter of a query. With a type it is cast to it, for places where the database would not find it out. */
export interface BoundValue {
  readonly value: SqlValue;
  readonly type?: string;
}

/** A query as its author wrote it, with the values of its `$name` parameters. */
export interface BoundQuery {
  readonly text: string;
  readonly values: Readonly<Record<string, BoundValue>>;
  /** A condition on the query's rows, with values of its own. */
  readonly where?: (bind: Binder) => string;
}

/**
 * Collects the values of one statement while its text is written. Use it inside one template text: values are numbered in the order in
 * which they are asked for, which is their order in the text.
 *
 * @example
 * ```ts ignore
 * const bind = new Binder(dialect);
 * const sql = `INSERT INTO t SELECT q.*, ${bind.value(runId, "UUID")} FROM (${bind.query(query)}) AS q`;
 * await session.run(sql, bind.params);
 * ```
 */
export class Binder {
  readonly #dialect: Dialect;
  readonly #params: SqlValue[] = [];

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  /** The values so far, in order. */
  get params(): readonly SqlValue[] {
    return this.#params;
  }

  /** A placeholder for the value; cast to the type when one is given. */
  value(value: SqlValue, type?: string): string {
    this.#params.push(value);
    const placeholder = this.#dialect.placeholder(this.#params.length);
    return type === undefined ? placeholder : this.#dialect.typedParameter(placeholder, type);
  }

  /** The query with placeholders in the places of its `$name`s. Names without a value stay as they are: the database tells. */
  query({ text, values, where }: BoundQuery): string {
    let bound = "";
    let from = 0;
    for (const { name, start, end } of findParameters(text, this.#dialect.kind)) {
      const given = Object.hasOwn(values, name) ? values[name] : undefined;
      if (given === undefined) continue;
      bound += text.slice(from, start) + this.value(given.value, given.type);
      from = end;
    }
    bound += text.slice(from);
    // The line break ends a comment that the query may end with.
    return where === undefined
      ? bound
      : `SELECT * FROM (${bound}\n) AS flow_rows WHERE ${where(this)}`;
  }
}

/** The query alone as a statement. */
export function boundStatement(dialect: Dialect, query: BoundQuery): Statement {
  const bind = new Binder(dialect);
  return { sql: bind.query(query), params: bind.params };
}
