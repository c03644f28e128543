import type { Readable } from "node:stream";
import { DemuxError, type DemuxedTrack } from "../demux/demuxer.ts";
import { TsDemuxer } from "../demux/mpegts/ts-demuxer.ts";

/** The most bytes that are searched for the table of tracks, which is repeated several times a second. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Reads an MPEG-TS until its tracks are known and then puts the bytes back, so that the next reader of the stream
 * begins at its first byte.
 *
 * @returns null if the stream ends, or continues for long, without a table of tracks
 */
export async function announcedTracks(stream: Readable, signal: AbortSignal): Promise<readonly DemuxedTrack[] | null> {
  const read: Buffer[] = [];
  let bytes = 0;
  let found: readonly DemuxedTrack[] | null = null;
  const demuxer = new TsDemuxer({
    onTracks: (tracks) => {
      found ??= tracks;
      return { video: null, audio: null };
    },
    onTag: () => undefined,
  });
  const take = (chunk: Buffer): boolean => {
    read.push(chunk);
    bytes += chunk.length;
    try {
      demuxer.push(chunk);
    } catch (error) {
      if (!(error instanceof DemuxError)) throw error;
      return true;
    }
    return found !== null || bytes > MAX_BYTES;
  };
  await new Promise<void>((resolve, reject) => {
    const done = (error?: unknown) => {
      stream.off("readable", look);
      stream.off("end", ended);
      stream.off("close", ended);
      signal.removeEventListener("abort", abort);
      if (error === undefined) resolve();
      else reject(error);
    };
    const ended = () => done();
    const abort = () => done(signal.reason);
    const look = () => {
      // SAFETY: a byte stream without an encoding gives buffers.
      for (let chunk = stream.read() as Buffer | null; chunk !== null; chunk = stream.read() as Buffer | null) {
        if (take(chunk)) {
          done();
          return;
        }
      }
    };
    stream.on("readable", look);
    stream.on("end", ended);
    stream.on("close", ended);
    signal.addEventListener("abort", abort, { once: true });
    look();
  });
  if (read.length > 0 && !stream.readableEnded) stream.unshift(Buffer.concat(read));
  return found;
}
