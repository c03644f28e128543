/** What the parsers of this folder throw, and all that they throw, whatever bytes they are given. */
export class CodecError extends Error {
  override readonly name = "CodecError";
}
