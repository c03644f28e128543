import { Readable } from "node:stream";
import { RoomcastError, shownUrl } from "@roomcast/shared";
import { parseTagBody } from "../../flv/flv-tag.ts";
import { type FlvTag, flvHeader, flvTagSlices } from "../../flv/flv-writer.ts";
import type { Dial } from "../../rtmp/dial-rtmp.ts";
import { ContinuousClock } from "../continuous-clock.ts";
import type { TranscodeFlvOptions } from "../ffmpeg/ffmpeg-source.ts";
import type { MediaInfo } from "../media-info.ts";
import type { OutputWishes } from "../output-wishes.ts";
import { copiesAll, type Plan, plannedAudio, plannedPicture, planPush, toSummary } from "../plan.ts";
import { QueuedSource } from "../queued-source.ts";
import type { Source, SourceEnd, SourceInfo } from "../source.ts";
import { LiveProbe } from "./live-probe.ts";
import { RtmpPuller } from "./rtmp-puller.ts";

const DEFAULT_READY_TIMEOUT_MS = 15_000;
/** A group of pictures at 1080p's highest rates fits in it; more before the plan stands is hostile. */
const MAX_PREROLL_BYTES = 32 * 1024 * 1024;
/** What ffmpeg may be behind before the server is held back. */
const FEED_BYTES = 512 * 1024;

export interface RtmpSourceOptions {
  /** `rtmp(s)://host[:port]/app/stream?query`; it stays inside this process. */
  readonly url: string;
  /** True: an end is a loss. False: a server's word that a recorded stream was played is a proper end. */
  readonly askedLive: boolean;
  /** Makes the connection; on a user's behalf through the egress guard. */
  readonly connect: Dial;
  /** Makes a source of an FLV stream that must not go into the room as it is. */
  readonly transcodeFlv: (options: TranscodeFlvOptions) => Promise<Source>;
  readonly wishes?: OutputWishes;
  readonly signal?: AbortSignal;
  /** Until tracks and first keyframe are at hand. */
  readonly readyTimeoutMs?: number;
  readonly silenceTimeoutMs?: number;
}

/**
 * Opens an RTMP stream at its newest: from the latest keyframe that the server has when the tracks are known.
 *
 * @throws RoomcastError `FailedOperation.Source…` why it could not be opened; the signal's reason when that aborts.
 *   Nothing is left running then.
 */
export async function openRtmpSource(options: RtmpSourceOptions): Promise<Source> {
  options.signal?.throwIfAborted();
  const pull = new PulledStream(options);
  try {
    const media = await pull.probe();
    const plan = planPush(media, { ...options.wishes, live: true, askedLive: options.askedLive });
    if (copiesAll(plan)) return new CopiedSource(pull, media, plan);
    return await options.transcodeFlv({
      media,
      plan,
      live: true,
      endsProperly: () => !options.askedLive,
      signal: options.signal,
      stream: new FlvFeed(pull, media),
      upstreamFailure: () => pull.failure,
      onClose: () => pull.close(),
    });
  } catch (error) {
    await pull.close();
    throw error;
  }
}

/** Takes what a pulled stream gives once its tracks are known. */
interface TagTaker {
  take(tag: FlvTag): void;
  end(end: SourceEnd): void;
}

/** The stream as it comes: first looked at, then handed on from the latest keyframe. */
class PulledStream {
  readonly #options: RtmpSourceOptions;
  readonly #puller: RtmpPuller;
  readonly #probe = new LiveProbe();
  readonly #probed = Promise.withResolvers<MediaInfo>();
  #headers: { metadata?: FlvTag; video?: FlvTag; audio?: FlvTag } = {};
  /** Since the latest keyframe; of a stream without video all. */
  #preroll: FlvTag[] = [];
  #prerollBytes = 0;
  #firstTagAt: number | undefined;
  #taker: TagTaker | undefined;
  #baseMs = 0;
  #end: SourceEnd | undefined;
  #missing = "audio and video";

  constructor(options: RtmpSourceOptions) {
    this.#options = options;
    this.#probed.promise.catch(() => undefined);
    this.#puller = new RtmpPuller({
      url: options.url,
      connect: options.connect,
      onTag: (tag) => this.#take(tag),
      onEnd: (end) => this.#finish(end),
      ...(options.silenceTimeoutMs === undefined ? {} : { silenceTimeoutMs: options.silenceTimeoutMs }),
    });
  }

  /** Resolves when the tracks and the first keyframe are there. */
  async probe(): Promise<MediaInfo> {
    const timeoutMs = this.#options.readyTimeoutMs ?? DEFAULT_READY_TIMEOUT_MS;
    const timer = setTimeout(() => this.#probed.reject(this.#late(timeoutMs)), timeoutMs);
    const { signal } = this.#options;
    const abort = () => this.#probed.reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      // The first to reject wins: a refusal, the deadline, the signal.
      const [media] = await Promise.all([this.#probed.promise, this.#puller.start()]);
      return media;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Hands on what is here, then what comes; times begin at 0. */
  pipe(taker: TagTaker): void {
    this.#taker = taker;
    const { metadata, video, audio } = this.#headers;
    const [first] = this.#preroll;
    this.#baseMs = first?.timestampMs ?? 0;
    for (const header of [metadata, video, audio]) if (header !== undefined) taker.take({ ...header, timestampMs: 0 });
    for (const tag of this.#preroll.splice(0)) this.#handOn(taker, tag);
    if (this.#end !== undefined) taker.end(this.#end);
  }

  get failure(): RoomcastError | undefined {
    return this.#end?.name === "failed" ? this.#end.error : undefined;
  }

  pause(): void {
    this.#puller.pause();
  }

  resume(): void {
    this.#puller.resume();
  }

  close(): Promise<void> {
    return this.#puller.stop();
  }

  #take(tag: FlvTag): void {
    if (this.#taker !== undefined) {
      this.#handOn(this.#taker, tag);
      return;
    }
    this.#hold(tag);
    this.#probe.observe(tag);
    this.#firstTagAt ??= performance.now();
    const verdict = this.#probe.verdict(performance.now() - this.#firstTagAt);
    if (verdict.name === "ready") this.#probed.resolve(verdict.media);
    else this.#missing = verdict.missing;
  }

  #hold(tag: FlvTag): void {
    if (tag.kind === "data") {
      this.#headers.metadata = tag;
      return;
    }
    const role = roleOf(tag);
    if (role === "header") {
      this.#headers[tag.kind] = tag;
      return;
    }
    if (role === "keyframe") {
      this.#preroll = [];
      this.#prerollBytes = 0;
    }
    this.#preroll.push(tag);
    this.#prerollBytes += tag.payload.length;
    if (this.#prerollBytes > MAX_PREROLL_BYTES) {
      this.#probed.reject(
        new RoomcastError(
          "FailedOperation.SourceUnsupported",
          `${this.#shown} sent ${MAX_PREROLL_BYTES / 1024 / 1024} MiB without ${this.#missing}.`,
        ),
      );
      void this.#puller.stop();
    }
  }

  #handOn(taker: TagTaker, tag: FlvTag): void {
    const timestampMs = tag.timestampMs - this.#baseMs;
    if (roleOf(tag) === "header") taker.take({ ...tag, timestampMs: Math.max(0, timestampMs) });
    // Audio that belongs to pictures before the first keyframe.
    else if (timestampMs >= 0) taker.take({ ...tag, timestampMs });
  }

  #finish(end: SourceEnd): void {
    this.#end =
      end.name === "finished" && this.#options.askedLive
        ? {
            name: "failed",
            error: new RoomcastError("FailedOperation.SourceLost", `${this.#shown} was lost: the stream ended.`),
          }
        : end;
    this.#probed.reject(
      this.failure ??
        new RoomcastError("FailedOperation.SourceNotMedia", `${this.#shown} ended before it had ${this.#missing}.`),
    );
    this.#taker?.end(this.#end);
  }

  #late(timeoutMs: number): RoomcastError {
    const text = `${this.#shown} did not send ${this.#missing} within ${timeoutMs} ms: is somebody publishing it?`;
    return new RoomcastError("FailedOperation.SourceTimeout", text);
  }

  get #shown(): string {
    return shownUrl(this.#options.url);
  }
}

/** A source whose tags go into the room as they are. */
class CopiedSource extends QueuedSource {
  readonly info: SourceInfo;
  readonly #pull: PulledStream;

  constructor(pull: PulledStream, media: MediaInfo, plan: Plan) {
    super(new ContinuousClock({ live: true }));
    this.#pull = pull;
    this.info = {
      live: true,
      durationMs: null,
      ...plannedPicture(media, plan),
      audioFormat: plannedAudio(media, plan),
      plan: toSummary(plan),
    };
    pull.pipe({
      take: ({ kind, timestampMs, payload }) => {
        const tag = kind === "data" ? null : parseTagBody(kind, timestampMs, payload);
        if (tag !== null) this.queue.push(tag);
      },
      end: (end) => this.queue.finish(end),
    });
  }

  async close(): Promise<void> {
    this.queue.clear();
    await this.#pull.close();
  }

  protected override pauseReading(): void {
    this.#pull.pause();
  }

  protected override resumeReading(): void {
    this.#pull.resume();
  }
}

/** The stream as FLV bytes. */
class FlvFeed extends Readable {
  readonly #pull: PulledStream;

  constructor(pull: PulledStream, media: MediaInfo) {
    super({ highWaterMark: FEED_BYTES });
    this.#pull = pull;
    this.push(flvHeader({ audio: media.audio !== null, video: media.video !== null }));
    pull.pipe({
      take: (tag) => {
        if (this.destroyed) return;
        for (const slice of flvTagSlices(tag)) this.push(slice);
        if (this.readableLength > FEED_BYTES) pull.pause();
      },
      end: () => {
        if (!this.destroyed) this.push(null);
      },
    });
  }

  override _read(): void {
    this.#pull.resume();
  }
}

/** What a tag is to somebody who joins; of codecs that we do not read only keyframes are told apart. */
function roleOf(tag: FlvTag): "header" | "keyframe" | "media" {
  if (tag.kind === "data") return "header";
  const media = parseTagBody(tag.kind, 0, tag.payload);
  if (media !== null)
    return media.sequenceHeader ? "header" : media.kind === "video" && media.keyframe ? "keyframe" : "media";
  if (tag.kind === "audio" || tag.payload.length === 0) return "media";
  const head = tag.payload.readUInt8(0);
  if ((head & 0x70) !== 0x10) return "media";
  return isForeignHeader(tag.payload) ? "header" : "keyframe";
}

/** PacketType SequenceStart: in the low bits of an extended header, else in the second byte as for AVC. */
function isForeignHeader(payload: Buffer): boolean {
  const head = payload.readUInt8(0);
  if ((head & 0x80) !== 0) return (head & 0x0f) === 0;
  return (head & 0x0f) === 12 && payload.length > 1 && payload.readUInt8(1) === 0;
}
