import { ticksToMs } from "./clock-33.ts";
import type { DemuxerOptions } from "./demuxer.ts";
import { type ElementaryStream, TimeMarks } from "./elementary-stream.ts";
import { NAL, startsPicture } from "./nal-units.ts";
import { PictureClock } from "./picture-clock.ts";
import { PictureSurvey } from "./picture-survey.ts";
import { Scratch } from "./scratch.ts";
import { TagMaker, VIDEO_HEADER_BYTES } from "./tag-maker.ts";

/** The most bytes of a picture. The largest pictures of level 6.2 in real streams have a few megabytes. */
const MAX_PICTURE_BYTES = 16 * 1024 * 1024;
const MAX_UNITS = 4096;
const LENGTH_BYTES = 4;
/** The length of a start code, 00 00 01. */
const START_CODE_BYTES = 3;

/**
 * Makes tags of an H.264 byte stream (ITU-T H.264, annex B). Pictures are separated by the stream's own syntax, because a
 * PES packet may hold several pictures or a part of one. Parameter sets, delimiters and filler are removed.
 */
export class H264Stream implements ElementaryStream {
  readonly #tags = new TagMaker();
  readonly #survey: PictureSurvey;
  readonly #clock = new PictureClock();
  readonly #marks = new TimeMarks();
  readonly #scratch = new Scratch(MAX_PICTURE_BYTES);
  /** Positions of the unit headers of the current picture. */
  readonly #units: number[] = [];
  /** The first position at which the next start code may end. */
  #scanned = 2;
  #hasSlice = false;
  #times: { readonly pts: number; readonly dts: number | null } | null = null;
  /** True after a loss of bytes: everything before the next PES packet is ignored. */
  #lost = false;

  constructor(options: Pick<DemuxerOptions, "onTag" | "onRecoveryPoint">) {
    this.#survey = new PictureSurvey(options);
  }

  begin(pts: number | null, dts: number | null): void {
    this.#lost = false;
    this.#marks.add(this.#scratch.length, pts, dts);
  }

  append(bytes: Buffer, start: number, end: number): void {
    if (this.#lost) return;
    if (this.#scratch.append(bytes, start, end)) this.#scan(false);
    else this.lose();
  }

  lose(): void {
    this.#restart();
    this.#lost = true;
  }

  flush(): void {
    this.#scan(true);
    if (this.#hasSlice) this.#give(this.#scratch.length);
    this.#restart();
    this.#clock.reset();
  }

  #restart(): void {
    this.#scratch.clear();
    this.#units.length = 0;
    this.#marks.clear();
    this.#scanned = 2;
    this.#hasSlice = false;
    this.#times = null;
  }

  /** Searches for start codes. Most steps are three bytes wide, because few bytes are 0 or 1. */
  #scan(final: boolean): void {
    // The byte after a header is needed to see whether a slice starts a picture. At the end, the last unit may consist
    // of a header only.
    let end = this.#scratch.length - (final ? 1 : 2);
    let at = this.#scanned;
    let { bytes } = this.#scratch;
    while (at < end) {
      const byte = bytes[at] ?? 0;
      if (byte === 0) {
        at += 1;
      } else if (byte !== 1 || bytes[at - 1] !== 0 || bytes[at - 2] !== 0) {
        at += 3;
      } else {
        const dropped = this.#unit(at + 1);
        ({ bytes } = this.#scratch);
        end -= dropped;
        at += START_CODE_BYTES - dropped;
      }
    }
    this.#scanned = Math.max(at, 2);
    if (this.#units.length === 0) this.#forget(Math.min(this.#scanned - 2, this.#scratch.length));
  }

  /** Drops the first bytes, which belong to no picture. */
  #forget(count: number): void {
    if (count === 0) return;
    this.#scratch.drop(count);
    this.#marks.shift(count);
    this.#scanned -= count;
  }

  /**
   * Handles the header of a unit. @returns the number of bytes that were dropped, because they were given or belong to
   * no picture.
   */
  #unit(header: number): number {
    const { bytes } = this.#scratch;
    const ends = this.#hasSlice && startsPicture(bytes, header, this.#scratch.length);
    if (ends) {
      this.#give(header - START_CODE_BYTES);
      this.#units.length = 0;
      this.#hasSlice = false;
    }
    // Bytes before a picture's first unit are not part of it.
    const dropped = this.#units.length === 0 ? header - START_CODE_BYTES : 0;
    const type = (bytes[header] ?? 0) & 0x1f;
    const slice = type >= NAL.slice && type <= NAL.idrSlice;
    if (this.#units.length === 0) this.#times = null;
    // Parameter sets may come in an earlier PES packet than the slices, and the time of the slices counts.
    if (this.#units.length === 0 || (slice && !this.#hasSlice)) this.#times = this.#marks.take(header) ?? this.#times;
    if (slice) this.#hasSlice = true;
    this.#forget(dropped);
    if (this.#units.length < MAX_UNITS) {
      this.#units.push(header - dropped);
      return dropped;
    }
    const forgotten = this.#scratch.length;
    this.lose();
    return forgotten;
  }

  /** Gives the picture that ends at a position, unless no time is known for it. */
  #give(end: number): void {
    const { bytes } = this.#scratch;
    this.#survey.begin();
    let total = 0;
    for (let index = 0; index < this.#units.length; index += 1) {
      const start = this.#units[index] ?? 0;
      const unitEnd = this.#unitEnd(index, end);
      this.#survey.unit(bytes, start, unitEnd);
      if (isKept(bytes[start] ?? 0)) total += LENGTH_BYTES + unitEnd - start;
    }
    const times = this.#clock.next(this.#times, this.#survey.sets.activeSps);
    if (times === null || total === 0) return;
    const payload = this.#tags.room("video", total);
    let at = VIDEO_HEADER_BYTES;
    for (let index = 0; index < this.#units.length; index += 1) {
      const start = this.#units[index] ?? 0;
      if (!isKept(bytes[start] ?? 0)) continue;
      const unitEnd = this.#unitEnd(index, end);
      payload.writeUInt32BE(unitEnd - start, at);
      bytes.copy(payload, at + LENGTH_BYTES, start, unitEnd);
      at += LENGTH_BYTES + unitEnd - start;
    }
    this.#survey.give(payload, ticksToMs(times.dts), ticksToMs(times.pts));
  }

  /** Returns the end of a unit. Zeros between a unit and the next start code belong to neither (B.1.1). */
  #unitEnd(index: number, pictureEnd: number): number {
    const { bytes } = this.#scratch;
    const start = this.#units[index] ?? 0;
    const next = this.#units[index + 1];
    let end = next === undefined ? pictureEnd : next - START_CODE_BYTES;
    while (end > start + 1 && bytes[end - 1] === 0) end -= 1;
    return end;
  }
}

/**
 * Returns true for slices and SEI units. Parameter sets, delimiters, filler and the units of scalable or multi-view
 * extensions are left out.
 */
function isKept(header: number): boolean {
  const type = header & 0x1f;
  return (type >= NAL.slice && type <= NAL.sei) || type === NAL.auxiliarySlice;
}
