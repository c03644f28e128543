import type { AudioTrack, VideoTrack } from "./movie.ts";
import { Mp4Error } from "./mp4-error.ts";
import { SampleCursor } from "./sample-cursor.ts";
import type { WorkSlices } from "./work-slices.ts";

/** The largest sample that is played. No encoded picture of 1080p is larger. */
const MAX_SAMPLE_BYTES = 8 * 1024 * 1024;
/** The cost of moving a cursor to the next sample, in table entries read. */
const ADVANCE_UNITS = 8;

interface Walk {
  readonly cursor: SampleCursor;
  readonly atMs: () => number;
}

/**
 * Returns true if two tracks can be read from front to back and passed on in decoding order while at most
 * `maxHeldBytes` are held back. The function examines all samples, in slices.
 *
 * @throws Mp4Error if samples overlap, are too large, or are not in decoding order
 */
export async function fitsInOnePass(
  { video, audio }: { readonly video: VideoTrack; readonly audio: AudioTrack },
  { maxHeldBytes, slices }: { readonly maxHeldBytes: number; readonly slices: WorkSlices },
): Promise<boolean> {
  if (Math.max(video.samples.largestBytes, audio.samples.largestBytes) > MAX_SAMPLE_BYTES) {
    throw new Mp4Error("A sample is too large.");
  }
  const reading = [walk(video), walk(audio)] as const;
  const giving = [walk(video), walk(audio)] as const;
  let position = 0;
  let held = 0;
  for (;;) {
    const next = earlier(reading, (one) => one.cursor.offset);
    if (next === undefined) return true;
    const { cursor } = next;
    if (cursor.offset < position) throw new Mp4Error("The samples are not in order in the file.");
    position = cursor.offset + cursor.size;
    held += cursor.size;
    cursor.advance();
    // A sample can be given only after it was read.
    for (;;) {
      const first = earlier(giving, (one) => one.atMs());
      const read = reading[first === giving[0] ? 0 : 1];
      if (first === undefined || first.cursor.index >= read.cursor.index) break;
      held -= first.cursor.size;
      first.cursor.advance();
      if (slices.spent(ADVANCE_UNITS)) await slices.pause();
    }
    if (held > maxHeldBytes) return false;
    if (slices.spent(ADVANCE_UNITS)) await slices.pause();
  }
}

function walk(track: VideoTrack | AudioTrack): Walk {
  const cursor = new SampleCursor(track.samples, track.firstSample, track.endSample);
  const { timescale, shiftMs } = track;
  return { cursor, atMs: () => (cursor.decodeTime * 1000) / timescale + shiftMs };
}

function earlier(walks: readonly [Walk, Walk], of: (walk: Walk) => number): Walk | undefined {
  const [first, second] = walks;
  if (first.cursor.done) return second.cursor.done ? undefined : second;
  if (second.cursor.done) return first;
  return of(first) <= of(second) ? first : second;
}
