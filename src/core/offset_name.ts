import type { StoredOffset } from "./offset.ts";

/** What tells the names of a pipeline's targets apart. */
export interface OffsetNameOptions {
  /** `Sink.targetId`: part of the target's own name. */
  readonly targetId: string;
  /** The first target of the definition: as long as nothing is stored, it takes the pipeline's name. */
  readonly isFirst: boolean;
  /** Places where a target of this run has the pipeline's name; shared by all of them. */
  readonly taken: Set<string>;
}

/**
 * The name under which a target keeps its offsets: the pipeline's, or the pipeline's with the `targetId` added, so that targets in one database
 * do not share rows. Which of the two it is stays with the target when others are added, removed or put in another order: what
 * is stored decides, and the order only as long as nothing is.
 *
 * A target without any offsets is new: rows come to it from where the others are, or from the source's own start.
 */
export class OffsetName {
  readonly #pipeline: string;
  readonly #options: OffsetNameOptions;
  #name: string;
  #isSettled = false;

  constructor(pipeline: string, options: OffsetNameOptions) {
    this.#pipeline = pipeline;
    this.#options = options;
    this.#name = options.isFirst ? pipeline : this.#own;
  }

  /** That of a pipeline's only target. */
  static ofOnly(pipeline: string): OffsetName {
    return new OffsetName(pipeline, { targetId: "only", isFirst: true, taken: new Set() });
  }

  /** The name. It may change once, when {@link read} is called for the first time. */
  get name(): string {
    return this.#name;
  }

  /**
   * What is stored under the name; the first call finds out which name it is.
   *
   * @param place where the target keeps offsets, equal for targets that share it
   * @param stored reads what is stored under a name
   */
  async read(
    place: string,
    stored: (name: string) => Promise<readonly StoredOffset[]>,
  ): Promise<readonly StoredOffset[]> {
    if (this.#isSettled) return await stored(this.#name);
    const { isFirst, taken } = this.#options;
    const own = await stored(this.#own);
    const isFree = own.length === 0 && !taken.has(place);
    const pipelines = isFree ? await stored(this.#pipeline) : [];
    const takesPipelines = isFree && (isFirst || pipelines.length > 0);
    if (takesPipelines) taken.add(place);
    this.#name = takesPipelines ? this.#pipeline : this.#own;
    this.#isSettled = true;
    return takesPipelines ? pipelines : own;
  }

  get #own(): string {
    return `${this.#pipeline}::${this.#options.targetId}`;
  }
}
