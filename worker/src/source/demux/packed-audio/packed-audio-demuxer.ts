import { ADTS_HEADER_BYTES, parseAdtsHeader } from "../../../media/codec/adts.ts";
import { mpegAudioFrameBytes } from "../../../media/codec/mpeg-audio.ts";
import { AdtsStream } from "../adts-stream.ts";
import { Clock33 } from "../clock-33.ts";
import { DemuxError, type DemuxedTrack, type Demuxer, type DemuxerOptions } from "../demuxer.ts";
import { Scratch } from "../scratch.ts";
import { ID3_HEADER_BYTES, id3Bytes, transportTimeOf } from "./id3.ts";

const TRACK_ID = 1;
/**
 * The most bytes of a tag that are searched for the time. HLS packagers write the frame with the time first; it would
 * be missed only after a large picture.
 */
const READ_TAG_BYTES = 64 * 1024;
/** The longest ID3 tag. A longer one is refused as hostile. */
const MAX_TAG_BYTES = 16 * 1024 * 1024;
/** The most bytes of noise before the first frame. */
const MAX_SEARCHED_BYTES = 64 * 1024;
const AC3_SYNC = 0x0b77;
/**
 * The number of bytes up to bsid, whose 5 bits follow the sync word, the checksum and the size. A bsid above 10 means
 * E-AC-3 (ETSI TS 102 366, E.1.3.1.6).
 */
const AC3_HEADER_BYTES = 6;

/**
 * Reads packed audio (RFC 8216, 3.4): a segment is an ID3 tag with the time of its first frame, and AAC in ADTS or MP3
 * or AC-3 frames. In a segment without a tag the time continues; it begins at 0 if no tag has come yet. Only AAC
 * becomes tags.
 */
export class PackedAudioDemuxer implements Demuxer {
  readonly #options: DemuxerOptions;
  readonly #clock = new Clock33();
  readonly #stream: AdtsStream;
  /** The beginning of a segment until its codec is known. */
  readonly #start = new Scratch(READ_TAG_BYTES + MAX_SEARCHED_BYTES);
  #place: "start" | "tag" | "frames" | "foreign" = "start";
  #tagBytesLeft = 0;
  #announced: string | undefined;
  #chosen = false;
  #timed = false;

  constructor(options: DemuxerOptions) {
    this.#options = options;
    this.#stream = new AdtsStream(options.onTag);
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#place === "foreign") return;
      if (this.#place === "frames") {
        this.#stream.append(chunk, at, chunk.length);
        return;
      }
      if (this.#place === "tag") {
        const skipped = Math.min(chunk.length - at, this.#tagBytesLeft);
        this.#tagBytesLeft -= skipped;
        at += skipped;
        if (this.#tagBytesLeft === 0) this.#place = "start";
        continue;
      }
      const end = Math.min(chunk.length, at + READ_TAG_BYTES);
      if (!this.#start.append(chunk, at, end)) throw new DemuxError("There is no audio in these bytes.");
      at = end;
      this.#readStart(false);
    }
  }

  flush(): void {
    if (this.#place === "start") this.#readStart(true);
    this.#stream.flush();
    this.#start.clear();
    this.#place = "start";
    this.#tagBytesLeft = 0;
  }

  #readStart(final: boolean): void {
    while (this.#place === "start") {
      const bytes = this.#start.bytes.subarray(0, this.#start.length);
      if (bytes.length < ID3_HEADER_BYTES) return;
      const tagBytes = id3Bytes(bytes, 0);
      if (tagBytes === null) return this.#findFrames(bytes, final);
      if (tagBytes > MAX_TAG_BYTES) throw new DemuxError("The audio has an endless ID3 tag in front.");
      const read = Math.min(tagBytes, READ_TAG_BYTES);
      if (bytes.length < read && !final) return;
      this.#readTime(bytes.subarray(0, read));
      if (tagBytes > bytes.length) {
        this.#tagBytesLeft = tagBytes - bytes.length;
        this.#place = "tag";
        this.#start.clear();
        return;
      }
      this.#start.drop(tagBytes);
    }
  }

  #readTime(tag: Buffer): void {
    const ticks = transportTimeOf(tag);
    if (ticks === null) return;
    this.#stream.begin(this.#clock.unwrap(ticks), null);
    this.#timed = true;
  }

  #findFrames(bytes: Buffer, final: boolean): void {
    const codec = codecAt(bytes, 0) ?? searchedCodec(bytes);
    if (codec === undefined) {
      if (bytes.length > MAX_SEARCHED_BYTES) throw new DemuxError("There is no audio in these bytes.");
      return;
    }
    // A single header may be a coincidence, so the next frame is awaited if it can still come.
    if (codec === "more" && !final) return;
    this.#announce(codec === "more" ? "aac" : codec);
    if (this.#place === "foreign") return;
    if (!this.#timed) this.#stream.begin(0, null);
    this.#timed = true;
    this.#stream.append(bytes, 0, bytes.length);
    this.#start.clear();
  }

  #announce(codec: string): void {
    if (codec !== this.#announced) {
      this.#announced = codec;
      const track: DemuxedTrack = { id: TRACK_ID, kind: "audio", codec };
      this.#chosen = this.#options.onTracks([track]).audio === TRACK_ID;
    }
    this.#place = codec === "aac" && this.#chosen ? "frames" : "foreign";
    if (this.#place === "foreign") this.#start.clear();
  }
}

/**
 * Returns the codec of the frame at the position, `more` if AAC awaits the next frame for confirmation, or undefined if
 * no frame begins there.
 */
function codecAt(bytes: Buffer, at: number): string | undefined {
  const adts = parseAdtsHeader(bytes, at);
  if (adts !== null) {
    const next = at + adts.frameBytes;
    if (next + ADTS_HEADER_BYTES > bytes.length) return "more";
    return parseAdtsHeader(bytes, next) === null ? undefined : "aac";
  }
  const frame = mpegAudioFrameBytes(bytes, at);
  if (frame !== null && (at + frame + 4 > bytes.length || mpegAudioFrameBytes(bytes, at + frame) !== null))
    return "mp3";
  if (at + AC3_HEADER_BYTES > bytes.length || bytes.readUInt16BE(at) !== AC3_SYNC) return undefined;
  return (bytes[at + 5] ?? 0) >> 3 > 10 ? "eac3" : "ac3";
}

function searchedCodec(bytes: Buffer): string | undefined {
  for (let at = 1; at + ADTS_HEADER_BYTES <= bytes.length; at += 1) {
    if (bytes[at] !== 0xff && bytes[at] !== 0x0b) continue;
    const codec = codecAt(bytes, at);
    if (codec !== undefined && codec !== "more") return codec;
  }
  return undefined;
}
