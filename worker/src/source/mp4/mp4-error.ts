/**
 * This demuxer does not play the file: it is built in a way that is not handled here, or it is broken. All that the
 * parsers of this folder throw; ffmpeg gets the next try. The message is a sentence fit to show.
 */
export class Mp4Error extends Error {
  override readonly name = "Mp4Error";
}
