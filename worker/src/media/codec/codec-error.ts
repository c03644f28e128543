/** The only error that the parsers of this folder throw, whatever bytes they are given. */
export class CodecError extends Error {
  override readonly name = "CodecError";
}
