import { type FragmentedTrack, parseInitSegment } from "../demux/fmp4/init-segment.ts";
import { Scratch } from "../demux/scratch.ts";
import { type FragmentTrack, readFragment, shiftDecodeTimes } from "../mp4/fragment-header.ts";
import { Mp4Error } from "../mp4/mp4-error.ts";

/** The largest step back of a track's clock that is taken for an overlap, ms. A larger one is a new beginning. */
const LARGEST_STEP_BACK_MS = 300;
/** The largest step ahead of a track's clock that is taken for a gap, ms. A larger one is a jump. */
const LARGEST_STEP_AHEAD_MS = 3000;
/**
 * A track takes over the shift of another track if its next fragment then begins within this distance of its end, ms.
 */
const SAME_TIME_MS = 1000;
const MAX_INDEX_BYTES = 16 * 1024 * 1024;
const HEADER_BYTES = 8;
const LONG_HEADER_BYTES = 16;

interface FragmentedClock extends FragmentTrack {
  /** The end of the track's last fragment on the continuous clock, ms; undefined before the first fragment. */
  endMs: number | undefined;
  /** The time that is added to the track's decode times, ms. */
  shiftMs: number;
  /** True if a discontinuity was announced and this track has not passed it yet. */
  announced: boolean;
}

/**
 * Makes the clock of fragmented MP4 continuous while its bytes are passed on. ffmpeg's MP4 reader assumes that a file
 * has one clock: after a step back, it would give all pictures the same timestamp. The decode times (`tfdt`) of the
 * fragments after a jump are therefore moved, so that they begin where the fragments before the jump end.
 */
export class ContinuousFragments {
  readonly #kept = new Scratch(MAX_INDEX_BYTES);
  /** The number of bytes of the current box that are still to be passed on. */
  #left = 0;
  /**
   * The clocks of the tracks, video first; undefined before the first `moov`. ffmpeg uses the time scales of the first
   * `moov` to the end.
   */
  #clocks: readonly FragmentedClock[] | undefined;

  /** Announces that the bytes that follow belong to another segment. */
  beginSegment(discontinuity: boolean): void {
    if (!discontinuity) return;
    for (const clock of this.#clocks ?? []) clock.announced = clock.endMs !== undefined;
  }

  /** Takes the next bytes. @returns the bytes that can be passed on now, in order */
  push(chunk: Buffer): Buffer[] {
    const passed: Buffer[] = [];
    for (let at = 0; at < chunk.length; ) {
      if (this.#left > 0) {
        const end = Math.min(chunk.length, at + this.#left);
        passed.push(chunk.subarray(at, end));
        this.#left -= end - at;
        at = end;
        continue;
      }
      const end = Math.min(chunk.length, at + this.#wantedBytes - this.#kept.length);
      this.#kept.append(chunk, at, end);
      at = end;
      if (this.#kept.length === this.#wantedBytes) passed.push(this.#release());
    }
    return passed;
  }

  /** Ends the current box. @returns the bytes that were held back because the box did not arrive completely */
  flush(): Buffer {
    this.#left = 0;
    return this.#taken();
  }

  /** The number of bytes of the current box that must have arrived before it can be passed on. */
  get #wantedBytes(): number {
    const { bytes, length } = this.#kept;
    if (length < HEADER_BYTES) return HEADER_BYTES;
    if (bytes.readUInt32BE(0) === 1 && length < LONG_HEADER_BYTES) return LONG_HEADER_BYTES;
    const { type, size, header } = headerOf(bytes);
    return (type === "moov" || type === "moof") && size >= header && size <= MAX_INDEX_BYTES ? size : header;
  }

  #release(): Buffer {
    const { type, size, header } = headerOf(this.#kept.bytes);
    const box = this.#taken();
    // A segment index (`sidx`) contains the original times. It is turned into a `free` box, which readers skip.
    if (type === "sidx") box.write("free", 4, "latin1");
    // A box of size 0 extends to the end of the stream.
    this.#left = size === 0 ? Number.POSITIVE_INFINITY : Math.max(0, size - box.length);
    try {
      if (type === "moov") this.#clocks ??= clocksIn(box);
      else if (type === "moof") this.#place(box.subarray(header));
    } catch (error) {
      // A broken box is passed on unchanged, because ffmpeg reports what is wrong with it.
      if (!(error instanceof Mp4Error)) throw error;
    }
    return box;
  }

  #taken(): Buffer {
    const { bytes, length } = this.#kept;
    const taken = Buffer.from(bytes.subarray(0, length));
    this.#kept.clear();
    return taken;
  }

  #place(moof: Buffer): void {
    for (const clock of this.#clocks ?? []) {
      const times = readFragment(moof, clock);
      if (times === null) continue;
      const startMs = (times.start * 1000) / clock.timescale;
      const durationMs = (times.duration * 1000) / clock.timescale;
      clock.shiftMs = this.#shiftMs(clock, startMs);
      clock.announced = false;
      clock.endMs = startMs + clock.shiftMs + durationMs;
      shiftDecodeTimes(moof, clock, Math.round((clock.shiftMs * clock.timescale) / 1000));
    }
  }

  #shiftMs(clock: FragmentedClock, startMs: number): number {
    const { endMs, shiftMs, announced } = clock;
    if (endMs === undefined) return shiftMs;
    const stepMs = startMs + shiftMs - endMs;
    if (!announced && stepMs >= -LARGEST_STEP_BACK_MS && stepMs <= LARGEST_STEP_AHEAD_MS) return shiftMs;
    // Tracks usually jump together. If the shift of another track fits this one too, it is taken over, so that the
    // tracks keep their distance.
    const isNear = (other: FragmentedClock) => Math.abs(startMs + other.shiftMs - endMs) <= SAME_TIME_MS;
    const other = this.#clocks?.find((each) => each !== clock && !each.announced && each.endMs !== undefined);
    return other !== undefined && isNear(other) ? other.shiftMs : endMs - startMs;
  }
}

interface BoxHeader {
  readonly type: string;
  /** The size of the whole box, including its header; 0 if the box extends to the end. */
  readonly size: number;
  readonly header: number;
}

function headerOf(bytes: Buffer): BoxHeader {
  const type = bytes.toString("latin1", 4, 8);
  const short = bytes.readUInt32BE(0);
  if (short !== 1) return { type, size: short, header: HEADER_BYTES };
  return { type, size: Number(bytes.readBigUInt64BE(8)), header: LONG_HEADER_BYTES };
}

function clocksIn(moov: Buffer): FragmentedClock[] {
  return parseInitSegment(moov)
    .filter(({ timescale }) => timescale > 0)
    .toSorted((a, b) => rankOf(a) - rankOf(b))
    .map(({ track, timescale, defaults }) => ({
      id: track.id,
      timescale,
      defaultDuration: defaults.duration,
      defaultFlags: 0,
      endMs: undefined,
      shiftMs: 0,
      announced: false,
    }));
}

/** Sorts video first, because audio takes over the shift of video. */
function rankOf({ track }: FragmentedTrack): number {
  return track.kind === "video" ? 0 : 1;
}
