/**
 * Thrown if this demuxer does not play the file, because the file's structure is not supported here or is broken. The
 * parsers of this folder throw no other error for such files, and ffmpeg is tried next. The message is a sentence for
 * users.
 */
export class Mp4Error extends Error {
  override readonly name = "Mp4Error";
}
