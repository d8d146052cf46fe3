import * as v from "valibot";

/** The schema of a text that is not empty, with a description for the reference. */
export type TextSchema = v.SchemaWithPipe<
  readonly [
    v.StringSchema<undefined>,
    v.NonEmptyAction<string, undefined>,
    v.DescriptionAction<string, string>,
  ]
>;

/** A key whose value is a text that is not empty. */
export function text(description: string): TextSchema {
  return v.pipe(v.string(), v.nonEmpty(), v.description(description));
}

/** A key that may be missing, and is {@link text} otherwise. */
export function optionalText(description: string): v.OptionalSchema<TextSchema, undefined> {
  return v.optional(text(description));
}
