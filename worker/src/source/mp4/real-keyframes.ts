import type { VideoTrack } from "./movie.ts";
import type { RangeStream } from "./range-stream.ts";
import { SampleCursor } from "./sample-cursor.ts";

/** The real keyframes of a file whose index marks every picture as one. */
export interface RealKeyframes {
  /**
   * The longest distance between keyframes that was found, ms. The distance from the last keyframe to the last
   * inspected picture counts too.
   */
  readonly gopMs: number;
  /** The last real keyframe that is not after the position, or the track's first picture if none was found near it. */
  readonly startSample: number;
}

const NAL_IDR = 5;
/** The number of keyframes in a row that prove that the video consists of keyframes only. */
const CONVINCING = 12;
/** The longest distance between keyframes that is measured, ms. Video with a longer distance is never copied. */
const LONGEST_GOP_MS = 4500;
const WINDOW_MS = 10_000;
const MAX_WINDOWS = 3;
const MAX_BYTES = 32 * 1024 * 1024;

/**
 * Returns true if the index marks every picture as a keyframe, for example because the writer of the file left out
 * `stss`. Pure.
 */
export function marksAll({ samples }: VideoTrack): boolean {
  const { syncSamples, sampleCount } = samples.table;
  return sampleCount > 1 && (syncSamples === null || syncSamples.count === sampleCount);
}

/**
 * Looks for keyframes in the pictures at the beginning and before the start position.
 *
 * @returns null if the index is correct
 * @throws RoomcastError if the file cannot be read
 */
export async function findRealKeyframes(
  file: RangeStream,
  track: VideoTrack,
  startAtMs: number,
): Promise<RealKeyframes | null> {
  const first = track.firstSample;
  const msOf = (sample: number) => (track.samples.placeOf(sample).decodeTime * 1000) / track.timescale;
  let [lastKeyframe, longest, seen] = [first, 0, 0];
  await look(file, track, { from: first, to: sampleAt(track, msOf(first) + WINDOW_MS) }, (sample, isKeyframe) => {
    seen += 1;
    longest = Math.max(longest, msOf(sample) - msOf(lastKeyframe));
    if (isKeyframe) lastKeyframe = sample;
    const allKeyframes = seen >= CONVINCING && longest <= msOf(first + 1) - msOf(first);
    return !allKeyframes && longest <= LONGEST_GOP_MS;
  });
  if (longest <= (track.samples.longestGop * 1000) / track.timescale) return null;
  const startSample = startAtMs <= 0 ? first : await lastBefore(file, track, startAtMs);
  return { gopMs: longest, startSample };
}

async function lastBefore(file: RangeStream, track: VideoTrack, startAtMs: number): Promise<number> {
  let to = sampleAt(track, startAtMs - track.shiftMs);
  for (let window = 1; window <= MAX_WINDOWS && to > track.firstSample; window += 1) {
    const from = Math.max(track.firstSample, sampleAt(track, startAtMs - track.shiftMs - window * WINDOW_MS));
    let found: number | undefined;
    await look(file, track, { from, to }, (sample, isKeyframe) => {
      if (isKeyframe) found = sample;
      return true;
    });
    if (found !== undefined) return found;
    to = from;
  }
  return track.firstSample;
}

/** Reads the pictures from `from` to `to`, both included, one after another until `take` returns false. */
async function look(
  file: RangeStream,
  track: VideoTrack,
  { from, to }: { readonly from: number; readonly to: number },
  take: (sample: number, isKeyframe: boolean) => boolean,
): Promise<void> {
  const cursor = new SampleCursor(track.samples, from, Math.min(to + 1, track.endSample));
  if (cursor.done) return;
  const reader = file.fork(cursor.offset);
  try {
    for (let bytes = 0; !cursor.done && bytes < MAX_BYTES; cursor.advance()) {
      const picture = Buffer.allocUnsafe(Math.min(cursor.size, MAX_BYTES));
      bytes += picture.length;
      await reader.seek(cursor.offset);
      if (!(await reader.readInto(picture))) return;
      if (!take(cursor.index, holdsKeyframe(picture, 0))) return;
    }
  } finally {
    await reader.close();
  }
}

/**
 * Returns true if a sample, whose NAL units follow four-byte lengths (ISO/IEC 14496-15, 5.3.3), has an IDR picture.
 * Pure.
 */
export function holdsKeyframe(sample: Buffer, start: number): boolean {
  for (let at = start; at + 5 <= sample.length; at += 4 + sample.readUInt32BE(at)) {
    if ((sample.readUInt8(at + 4) & 0x1f) === NAL_IDR) return true;
  }
  return false;
}

function sampleAt({ samples, timescale }: VideoTrack, mediaMs: number): number {
  return samples.sampleAt(Math.max(0, (mediaMs * timescale) / 1000));
}
