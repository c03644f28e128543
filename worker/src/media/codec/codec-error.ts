/** The only error that the parsers of this folder throw for malformed bytes. */
export class CodecError extends Error {
  override readonly name = "CodecError";
}
