import type { AudioTrack, VideoTrack } from "./movie.ts";
import { Mp4Error } from "./mp4-error.ts";
import { SampleCursor } from "./sample-cursor.ts";

/** How the samples of two tracks lie in the file. */
export interface Layout {
  /** First byte after the last sample. */
  readonly endByte: number;
  /** The most bytes that must be held back so that both tracks come out in decoding order while read in file order. */
  readonly heldBytes: number;
}

/** No picture of 1080p has more. */
const MAX_SAMPLE_BYTES = 8 * 1024 * 1024;

interface Walk {
  readonly cursor: SampleCursor;
  readonly atMs: () => number;
}

/**
 * Walks all samples once (some ms for a film of two hours).
 *
 * @throws Mp4Error where samples overlap, are huge, or do not lie in decoding order.
 */
export function surveyLayout(video: VideoTrack, audio: AudioTrack): Layout {
  const reading = [walk(video), walk(audio)] as const;
  const giving = [walk(video), walk(audio)] as const;
  let position = 0;
  let held = 0;
  let heldBytes = 0;
  for (;;) {
    const next = earlier(reading, (one) => one.cursor.offset);
    if (next === undefined) break;
    const { cursor } = next;
    if (cursor.offset < position) throw new Mp4Error("The samples do not lie in order in the file.");
    if (cursor.size > MAX_SAMPLE_BYTES) throw new Mp4Error("A sample is too large.");
    position = cursor.offset + cursor.size;
    held += cursor.size;
    cursor.advance();
    // What is given must have been read, in both tracks.
    for (;;) {
      const first = earlier(giving, (one) => one.atMs());
      const read = reading[first === giving[0] ? 0 : 1];
      if (first === undefined || first.cursor.index >= read.cursor.index) break;
      held -= first.cursor.size;
      first.cursor.advance();
    }
    heldBytes = Math.max(heldBytes, held);
  }
  return { endByte: position, heldBytes };
}

function walk(track: VideoTrack | AudioTrack): Walk {
  const cursor = new SampleCursor(track.table);
  const { timescale, shiftMs } = track;
  return { cursor, atMs: () => (cursor.decodeTime * 1000) / timescale + shiftMs };
}

function earlier(walks: readonly [Walk, Walk], of: (walk: Walk) => number): Walk | undefined {
  const [first, second] = walks;
  if (first.cursor.done) return second.cursor.done ? undefined : second;
  if (second.cursor.done) return first;
  return of(first) <= of(second) ? first : second;
}

/** The longest distance between sync samples, also from the last one to the end, ms. */
export function longestGopMs({ table, timescale }: VideoTrack): number {
  const cursor = new SampleCursor(table);
  let since = 0;
  let longest = 0;
  for (; !cursor.done; cursor.advance()) {
    if (!cursor.sync) continue;
    longest = Math.max(longest, cursor.decodeTime - since);
    since = cursor.decodeTime;
  }
  return (Math.max(longest, table.duration - since) * 1000) / timescale;
}
