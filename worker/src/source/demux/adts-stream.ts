import {
  AAC_BLOCK_SAMPLES,
  ADTS_HEADER_BYTES,
  type AdtsHeader,
  aacConfigOfAdts,
  parseAdtsHeader,
} from "../../media/codec/adts.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { ticksToMs } from "./clock-33.ts";
import { type ElementaryStream, TimeMarks } from "./elementary-stream.ts";
import { Scratch } from "./scratch.ts";
import { AUDIO_HEADER_BYTES, sequenceHeaderTag, soundTag, TagMaker } from "./tag-maker.ts";

const TICKS_PER_SECOND = 90_000;
/**
 * The most bytes that wait for the rest of a frame. A frame has at most 8191 bytes, and the header after it confirms
 * it. A PES packet has at most 64 KiB.
 */
const MAX_WAITING_BYTES = 128 * 1024;

/** Makes tags of AAC in ADTS frames, which may lie across PES packets. */
export class AdtsStream implements ElementaryStream {
  readonly #onTag: (tag: MediaTag) => void;
  readonly #tags = new TagMaker();
  readonly #marks = new TimeMarks();
  readonly #scratch = new Scratch(MAX_WAITING_BYTES);
  /** The time of the next frame; null until a time is known. */
  #nextTicks: number | null = null;
  #config: Buffer | undefined;
  /**
   * True if a frame has just ended, so that the next one is expected here. If it is false, a header counts only if a
   * second one follows its frame.
   */
  #inStep = false;
  #lost = false;

  constructor(onTag: (tag: MediaTag) => void) {
    this.#onTag = onTag;
  }

  begin(pts: number | null, _dts: number | null): void {
    this.#lost = false;
    this.#marks.add(this.#scratch.length, pts, null);
  }

  append(bytes: Buffer, start: number, end: number): void {
    if (this.#lost) return;
    if (this.#scratch.append(bytes, start, end)) this.#read(false);
    else this.lose();
  }

  lose(): void {
    this.#restart();
    this.#lost = true;
  }

  flush(): void {
    this.#read(true);
    this.#restart();
  }

  #restart(): void {
    this.#scratch.clear();
    this.#marks.clear();
    this.#inStep = false;
  }

  #read(final: boolean): void {
    const { bytes, length } = this.#scratch;
    let at = 0;
    while (at + ADTS_HEADER_BYTES <= length) {
      const header = parseAdtsHeader(bytes, at);
      if (header === null) {
        this.#inStep = false;
        at += 1;
        continue;
      }
      const next = at + header.frameBytes;
      if (next > length) {
        // A false header that is found while searching must not swallow the frames after it.
        if (!final || this.#inStep) break;
        at += 1;
        continue;
      }
      if (!this.#inStep) {
        if (next + ADTS_HEADER_BYTES > length && !final) break;
        const confirmed = next + ADTS_HEADER_BYTES > length || sameFormat(header, parseAdtsHeader(bytes, next));
        if (!confirmed) {
          at += 1;
          continue;
        }
        this.#inStep = true;
      }
      this.#give(header, at);
      at = next;
    }
    if (at === 0) return;
    this.#scratch.drop(at);
    this.#marks.shift(at);
  }

  #give(header: AdtsHeader, at: number): void {
    const ticks = this.#marks.take(at)?.pts ?? this.#nextTicks;
    if (ticks === null) return;
    this.#nextTicks = ticks + (header.blocks * AAC_BLOCK_SAMPLES * TICKS_PER_SECOND) / header.sampleRateHz;
    const dtsMs = ticksToMs(ticks);
    const config = aacConfigOfAdts(header);
    if (this.#config === undefined || !this.#config.equals(config)) {
      this.#config = config;
      this.#onTag(sequenceHeaderTag("audio", dtsMs, config));
    }
    const start = at + header.headerBytes;
    const end = at + header.frameBytes;
    const payload = this.#tags.room("audio", end - start);
    this.#scratch.bytes.copy(payload, AUDIO_HEADER_BYTES, start, end);
    this.#onTag(soundTag(dtsMs, payload));
  }
}

function sameFormat(one: AdtsHeader, other: AdtsHeader | null): boolean {
  return other !== null && other.sampleRateIndex === one.sampleRateIndex && other.objectType === one.objectType;
}
