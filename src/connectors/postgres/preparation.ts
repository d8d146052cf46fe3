import type { Connection } from "pg";

/** A column that a statement would give; a domain comes as its base type. */
export interface PreparedColumn {
  readonly name: string;
  /** OID of the type. */
  readonly dataTypeID: number;
  /** `atttypmod`: length or precision, -1 without. */
  readonly dataTypeModifier: number;
}

/** What the server knows of a statement before it runs. */
export interface Prepared {
  /** OIDs of the parameters' types, as given or as the server found them out. */
  readonly parameterTypes: readonly number[];
  /** Empty for a statement that gives no rows. */
  readonly columns: readonly PreparedColumn[];
}

/** The driver's connection with the messages that its types lack. */
interface PreparingConnection extends Connection {
  on(event: "parameterDescription", listener: (message: ParameterDescription) => void): this;
  off(event: "parameterDescription", listener: (message: ParameterDescription) => void): this;
}

interface ParameterDescription {
  readonly dataTypeIDs: readonly number[];
}

/** Parse and Describe of one statement, in the shape that the driver's `client.query()` takes (a "submittable"). */
export class Preparation {
  readonly #sql: string;
  readonly #given: readonly number[];
  #connection: PreparingConnection | undefined;
  #parameterTypes: readonly number[] = [];
  #columns: readonly PreparedColumn[] = [];
  readonly #done = Promise.withResolvers<Prepared>();

  /** @param parameterTypes OIDs by parameter; 0 leaves it to the server */
  constructor(sql: string, parameterTypes: readonly number[]) {
    this.#sql = sql;
    this.#given = parameterTypes;
    this.#done.promise.catch(() => {});
  }

  /** Rejects with the server's error. */
  get prepared(): Promise<Prepared> {
    return this.#done.promise;
  }

  readonly #onParameters = ({ dataTypeIDs }: ParameterDescription): void => {
    this.#parameterTypes = dataTypeIDs;
  };

  // What follows is called by the driver.

  submit(connection: Connection): void {
    this.#connection = connection as PreparingConnection;
    this.#connection.on("parameterDescription", this.#onParameters);
    // The driver's types ask for names of the types; it sends what it gets as OIDs.
    const types = [...this.#given] as unknown as string[];
    connection.parse({ name: "", text: this.#sql, types }, true);
    connection.describe({ type: "S", name: "" }, true);
    connection.sync();
  }

  handleParseComplete(): void {}

  handleRowDescription(message: { readonly fields: readonly PreparedColumn[] }): void {
    this.#columns = message.fields.map(({ name, dataTypeID, dataTypeModifier }) => ({
      name,
      dataTypeID,
      dataTypeModifier,
    }));
  }

  handleReadyForQuery(): void {
    this.#leave();
    this.#done.resolve({ parameterTypes: this.#parameterTypes, columns: this.#columns });
  }

  handleError(error: unknown): void {
    this.#leave();
    this.#done.reject(error);
  }

  #leave(): void {
    this.#connection?.off("parameterDescription", this.#onParameters);
  }
}
