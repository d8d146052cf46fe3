/** What a test service is: the shape that each file of this folder fills in, and that `catalog.ts` lists. */

/** A process (or container) that this program started and that ends with it. */
export interface Running {
  /** The variables that tests read, with this service's addresses. */
  readonly env: Readonly<Record<string, string>>;
  /** How it was had, for the reader of the log: `local packages, Apache Kafka 3.9.1`. */
  readonly how: string;
  /** Settles when the service is gone, whether stopped or fallen. */
  readonly exited: Promise<void>;
  /** Ends it, waits for its end, and removes its data. */
  stop(): Promise<void>;
}

/** What a start function gets. */
export interface StartContext {
  /** Settings fit for measuring (data is synced to disk) in place of those fit for quick tests. */
  readonly durable: boolean;
  /** A file for the service's output, in the git-ignored `.services` folder. */
  readonly logFile: string;
  /** One line for the person who waits: what is fetched or installed. */
  readonly say: (line: string) => void;
}

/** One system. Adding one is a file with such a value and a line in `catalog.ts`. */
export interface ServiceDefinition {
  /** The name on the command line. */
  readonly name: string;
  /** All variables that tests read about it; the first one, when set, says that a running service is to be used. */
  readonly variables: readonly [string, ...string[]];
  /** Starts the official image. Called only where a Docker daemon answers. */
  readonly docker: (context: StartContext) => Promise<Running>;
  /** Starts it from packages that are there or can be installed. */
  readonly local: (context: StartContext) => Promise<Running>;
}

/** The service cannot be had on this machine; the message says why. Callers skip what needs it, loudly. */
export class Unavailable extends Error {
  override readonly name = "Unavailable";
}
