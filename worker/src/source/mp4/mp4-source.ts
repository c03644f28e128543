import { RoomcastError } from "@roomcast/shared";
import type { MediaTag } from "../../media/media-tag.ts";
import { PayloadPool } from "../payload-pool.ts";
import { QueuedSource } from "../queued-source.ts";
import type { SourceInfo } from "../source.ts";
import type { AudioTrack, VideoTrack } from "./movie.ts";
import { Mp4Error } from "./mp4-error.ts";
import type { RangeStream } from "./range-stream.ts";
import { holdsKeyframe } from "./real-keyframes.ts";
import { SampleCursor } from "./sample-cursor.ts";

export interface Mp4SourceOptions {
  readonly info: SourceInfo;
  readonly video: VideoTrack;
  readonly audio: AudioTrack;
  readonly startAtMs: number;
  /**
   * The first keyframe to play, given only if the index marks keyframes wrongly. The source then looks for keyframes in
   * the pictures themselves.
   */
  readonly keyframeSample?: number | undefined;
  /** The source takes ownership of the stream, and closes it. */
  readonly stream: RangeStream;
}

/**
 * Values of VideoTagHeader with AVCVIDEOPACKET, and of AudioTagHeader with AACAUDIODATA (Adobe FLV 10.1, E.4.3.1 and
 * E.4.2.1).
 */
const KEYFRAME_AVC = 0x17;
const INTER_FRAME_AVC = 0x27;
const AAC_44KHZ_16BIT_STEREO = 0xaf;
const PACKET_SEQUENCE_HEADER = 0;
const PACKET_MEDIA = 1;
const HEADER_BYTES = { video: 5, audio: 2 } as const;

/** One track: its next sample in the file, and tags that were read but must wait for the other track. */
class Lane {
  readonly kind: MediaTag["kind"];
  readonly cursor: SampleCursor;
  readonly waiting: MediaTag[] = [];
  readonly #timescale: number;
  readonly #shiftMs: number;

  /** @param first the sample to begin with */
  constructor(kind: MediaTag["kind"], track: VideoTrack | AudioTrack, first: number) {
    this.kind = kind;
    this.cursor = new SampleCursor(track.samples, first, track.endSample);
    this.#timescale = track.timescale;
    this.#shiftMs = track.shiftMs;
  }

  get dtsMs(): number {
    return (this.cursor.decodeTime * 1000) / this.#timescale + this.#shiftMs;
  }

  /** The decode time of the next tag to give, even if that tag has not been read yet; Infinity if none is left. */
  get nextDtsMs(): number {
    const [tag] = this.waiting;
    if (tag !== undefined) return tag.dtsMs;
    return this.cursor.done ? Number.POSITIVE_INFINITY : this.dtsMs;
  }
}

/** Plays an MP4 file whose tracks are copied. It reads the file once from front to back. */
export class Mp4Source extends QueuedSource {
  readonly info: SourceInfo;
  readonly #stream: RangeStream;
  readonly #pool = new PayloadPool();
  readonly #looksForKeyframes: boolean;
  readonly #video: Lane;
  readonly #audio: Lane;
  readonly #pumped: Promise<void>;
  readonly #opened = Promise.withResolvers<void>();
  #pictureGiven = false;
  /** The position up to which the media were read. */
  #readToMs = 0;
  /** Resolved when there is room in the queue. */
  #room: PromiseWithResolvers<void> | undefined;

  constructor(options: Mp4SourceOptions) {
    super();
    this.info = options.info;
    this.#stream = options.stream;
    const { video, audio, startAtMs, keyframeSample } = options;
    this.#looksForKeyframes = keyframeSample !== undefined;
    this.#video = new Lane("video", video, keyframeSample ?? firstPicture(video, startAtMs));
    this.#audio = new Lane("audio", audio, startAtMs > 0 ? firstSound(audio, this.#video.dtsMs) : audio.firstSample);
    this.queue.push(headerTag("video", this.#video.dtsMs, options.video.description.record));
    this.queue.push(headerTag("audio", this.#audio.dtsMs, options.audio.description.record));
    this.#pumped = this.#pump();
  }

  /**
   * Resolves when the first keyframe has been read. Rejects with a RoomcastError, or with an `Mp4Error` if ffmpeg may
   * try.
   */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  async close(): Promise<void> {
    this.queue.onReadable = undefined;
    this.queue.clear();
    await this.#stream.close();
    this.resumeReading();
    await this.#pumped;
  }

  async #pump(): Promise<void> {
    try {
      await this.#readAll();
      this.queue.finish({ name: "finished" });
      this.#opened.resolve();
    } catch (thrown) {
      this.queue.finish({ name: "failed", error: RoomcastError.from(thrown) });
      this.#opened.reject(thrown);
    }
    // The opener awaits `opened`. A later failure is reported by `end` only, and must not become an unhandled
    // rejection.
    this.#opened.promise.catch(() => undefined);
    await this.#stream.close();
  }

  async #readAll(): Promise<void> {
    for (;;) {
      const lane = this.#nextInFile();
      if (lane === undefined) return;
      // An empty sample repeats the picture. It is left out, because an FLV tag cannot be empty.
      if (lane.cursor.size > 0) {
        const headerBytes = HEADER_BYTES[lane.kind];
        const payload = this.#pool.allocate(headerBytes + lane.cursor.size);
        if (!this.#stream.readHeld(lane.cursor.offset, payload, headerBytes)) {
          await this.#read(lane.cursor.offset, payload, headerBytes);
        }
        lane.waiting.push(this.#tagOf(lane, payload));
      }
      lane.cursor.advance();
      this.#give();
      if (this.#room === undefined) continue;
      if (!this.#pictureGiven) throw new Mp4Error("The video begins long after the audio.");
      await this.#room.promise;
    }
  }

  #nextInFile(): Lane | undefined {
    const [video, audio] = [this.#video.cursor, this.#audio.cursor];
    if (video.done) return audio.done ? undefined : this.#audio;
    return audio.done || video.offset <= audio.offset ? this.#video : this.#audio;
  }

  async #read(offset: number, payload: Buffer, headerBytes: number): Promise<void> {
    await this.#stream.seek(offset);
    if (await this.#stream.readInto(payload, headerBytes)) return;
    const [mediaEnd, indexEnd] = [this.#readToMs, this.info.durationMs ?? 0].map((ms) => (ms / 1000).toFixed(1));
    const message = `The source is cut short: its media end at ${mediaEnd} s, its index says ${indexEnd} s. Upload it again.`;
    throw new RoomcastError("FailedOperation.SourceTruncated", message);
  }

  #tagOf({ kind, cursor, dtsMs }: Lane, payload: Buffer): MediaTag {
    const isLooked = kind === "video" && this.#looksForKeyframes;
    const keyframe = isLooked ? holdsKeyframe(payload, HEADER_BYTES[kind]) : kind === "audio" || cursor.sync;
    writeHeader(payload, kind, keyframe, PACKET_MEDIA);
    this.#readToMs = Math.max(this.#readToMs, dtsMs);
    return { kind, dtsMs, compositionMs: 0, keyframe, sequenceHeader: false, payload };
  }

  /** Passes on the tags that were read, in decoding order over both tracks. */
  #give(): void {
    for (;;) {
      const lane = this.#video.nextDtsMs <= this.#audio.nextDtsMs ? this.#video : this.#audio;
      const tag = lane.waiting.shift();
      if (tag === undefined) return;
      this.queue.push(tag);
      if (tag.kind === "audio" || this.#pictureGiven) continue;
      this.#pictureGiven = true;
      this.#opened.resolve();
    }
  }

  protected override pauseReading(): void {
    this.#room = Promise.withResolvers();
  }

  protected override resumeReading(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}

/** Returns the last keyframe that is not after the position, or else the first one. */
function firstPicture(track: VideoTrack, startAtMs: number): number {
  const { samples, firstSample, endSample } = track;
  if (startAtMs <= 0) return firstSample;
  const sample = Math.min(samples.sampleAt(mediaTimeOf(track, startAtMs)), endSample - 1);
  return Math.max(firstSample, samples.syncSampleAt(sample) ?? 0);
}

/** Returns the first audio frame that is not before the picture, or else the last one. */
function firstSound(track: AudioTrack, pictureMs: number): number {
  const time = mediaTimeOf(track, pictureMs);
  const { samples, firstSample, endSample } = track;
  const sample = samples.sampleAt(time);
  const from = samples.placeOf(sample).decodeTime < time ? sample + 1 : sample;
  return Math.max(firstSample, Math.min(from, endSample - 1));
}

function mediaTimeOf({ timescale, shiftMs }: VideoTrack | AudioTrack, positionMs: number): number {
  return Math.max(0, ((positionMs - shiftMs) * timescale) / 1000);
}

function headerTag(kind: MediaTag["kind"], dtsMs: number, record: Buffer): MediaTag {
  const headerBytes = HEADER_BYTES[kind];
  const payload = Buffer.allocUnsafe(headerBytes + record.length);
  writeHeader(payload, kind, true, PACKET_SEQUENCE_HEADER);
  record.copy(payload, headerBytes);
  return { kind, dtsMs, compositionMs: 0, keyframe: kind === "audio", sequenceHeader: true, payload };
}

function writeHeader(payload: Buffer, kind: MediaTag["kind"], keyframe: boolean, packetType: number): void {
  if (kind === "audio") {
    payload[0] = AAC_44KHZ_16BIT_STEREO;
    payload[1] = packetType;
    return;
  }
  payload[0] = keyframe ? KEYFRAME_AVC : INTER_FRAME_AVC;
  payload[1] = packetType;
  // The composition time is 0, because only video without B-frames is played here.
  payload.fill(0, 2, 5);
}
