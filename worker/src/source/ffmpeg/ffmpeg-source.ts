import type { Readable } from "node:stream";
import { RoomcastError } from "@roomcast/shared";
import { FlvDemuxer } from "../../media/flv/flv-demuxer.ts";
import type { MediaInfo } from "../../media/media-info.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { ContinuousClock } from "../continuous-clock.ts";
import { mapsTones, type Plan, plannedAudio, plannedPicture, plannedTempo, toSummary } from "../plan/plan.ts";
import { QueuedSource } from "../queued-source.ts";
import type { Source, SourceInfo } from "../source.ts";
import { TrackStart } from "../track-start.ts";
import { classifyEnd } from "./failure.ts";
import { type FfmpegInput, ffmpegArguments, OUTPUT_SHIFT_MS, type StreamFormat } from "./ffmpeg-arguments.ts";
import { type FfmpegExit, FfmpegProcess } from "./ffmpeg-process.ts";

interface CommonOptions {
  readonly media: MediaInfo;
  readonly plan: Plan;
  readonly live: boolean;
  /** Called at the end; returns true if the end is regular. Unless given, the end of a live source is a loss. */
  readonly endsProperly?: (() => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The longest wait for both headers and the first keyframe, ms. */
  readonly readyTimeoutMs?: number | undefined;
  /** The longest time without media while the queue has room, ms. */
  readonly stallTimeoutMs?: number | undefined;
  /** Returns the error of whatever delivers the bytes, if it failed. */
  readonly upstreamFailure?: (() => RoomcastError | undefined) | undefined;
  /** Called on closing; releases the input of ffmpeg. */
  readonly onClose?: (() => void | Promise<void>) | undefined;
}

export interface FfmpegSourceOptions extends CommonOptions {
  /** A URL of the source gateway. */
  readonly url: string;
  /** Additional environment variables for ffmpeg. */
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * The position to start at, ms; ignored for a live source. An encoded video starts exactly there. A copied video
   * starts at the keyframe before, with the keyframe's `dtsMs`.
   */
  readonly startAtMs: number;
  /** The position at which decoding has to begin for `startAtMs`; undefined if ffmpeg finds it. */
  readonly decodeFromMs?: number | undefined;
  readonly videoIndex?: number | undefined;
  readonly audioIndex?: number | undefined;
}

export interface TranscodeFlvOptions extends CommonOptions {
  /** The duration at the beginning that is decoded but not given, ms; only for an encoded video. */
  readonly skipMs?: number | undefined;
  /** The format of the stream; FLV unless given. */
  readonly format?: StreamFormat;
  /** A stream that begins with the headers and a keyframe. It is destroyed when the source closes. */
  readonly stream: Readable;
}

export interface StreamSourceOptions extends CommonOptions {
  /** The position in the source of the first picture that is given, ms; 0 unless given. */
  readonly placeMs?: number | undefined;
  /** The duration at the beginning that is decoded but not given, ms; only for an encoded video. */
  readonly skipMs?: number | undefined;
  readonly format: StreamFormat;
  /** Destroyed when the source closes. */
  readonly stream: Readable;
  /** A longer step forward of the stream's clock counts as a jump, ms; 10 s unless given. */
  readonly smallestJumpMs?: number | undefined;
  readonly videoIndex?: number | undefined;
  readonly audioIndex?: number | undefined;
}

const READY_TIMEOUT_MS = 20_000;
const STALL_TIMEOUT_MS = 30_000;

/**
 * Opens a source that ffmpeg reads from the gateway and converts to FLV.
 *
 * @throws RoomcastError if the source cannot be opened; the signal's reason when that aborts. Nothing is left running
 *   after an error.
 */
export async function openFfmpegSource(options: FfmpegSourceOptions): Promise<Source> {
  const { url, environment, startAtMs, decodeFromMs, videoIndex, audioIndex } = options;
  const tracks = { videoIndex, audioIndex };
  return await open(options, { input: { kind: "url", url }, environment, startAtMs, decodeFromMs, ...tracks });
}

/** Opens a source that ffmpeg reads from a byte stream, always from the beginning of the stream. */
export async function openStreamSource(options: StreamSourceOptions): Promise<Source> {
  const { format, stream, skipMs, placeMs, smallestJumpMs, videoIndex, audioIndex } = options;
  const input = { kind: "stream", format } as const;
  return await open(options, {
    input,
    startAtMs: 0,
    placeMs,
    skipMs,
    smallestJumpMs,
    stdin: stream,
    videoIndex,
    audioIndex,
  });
}

/** Opens a source that ffmpeg transcodes from an FLV byte stream, for codecs that rooms do not take. */
export async function transcodeFlv(options: TranscodeFlvOptions): Promise<Source> {
  return await openStreamSource({ format: "flv", ...options });
}

interface Feed {
  readonly input: FfmpegInput;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  readonly startAtMs: number;
  readonly decodeFromMs?: number | undefined;
  readonly placeMs?: number | undefined;
  readonly skipMs?: number | undefined;
  readonly smallestJumpMs?: number | undefined;
  readonly videoIndex?: number | undefined;
  readonly audioIndex?: number | undefined;
  readonly stdin?: Readable;
}

async function open(options: CommonOptions, feed: Feed): Promise<Source> {
  if (options.signal?.aborted === true) {
    feed.stdin?.once("error", () => {}).destroy();
    await options.onClose?.();
    throw options.signal.reason;
  }
  const source = new FfmpegSource(options, feed);
  try {
    await source.ready;
    return source;
  } catch (error) {
    await source.close();
    throw error;
  }
}

class FfmpegSource extends QueuedSource {
  readonly info: SourceInfo;
  /** Rejects with a RoomcastError, or the signal's reason. */
  readonly ready: Promise<void>;
  readonly #options: CommonOptions;
  readonly #stdin: Readable | undefined;
  readonly #process: FfmpegProcess;
  readonly #demuxer: FlvDemuxer;
  readonly #opened = Promise.withResolvers<void>();
  readonly #start: TrackStart;
  readonly #stallTimeoutMs: number;
  #stallTimer: NodeJS.Timeout | undefined;
  #playedToMs: number | null = null;
  #closed: Promise<void> | undefined;

  constructor(options: CommonOptions, feed: Feed) {
    super(new ContinuousClock({ live: options.live }));
    this.#options = options;
    this.#stdin = feed.stdin;
    this.#stallTimeoutMs = options.stallTimeoutMs ?? STALL_TIMEOUT_MS;
    const tempo = plannedTempo(options.plan);
    const placeMs = feed.placeMs ?? 0;
    const fromMs = feed.startAtMs + placeMs;
    this.info = {
      live: options.live,
      ...(options.live && options.media.container === "hls" ? { segmented: true } : {}),
      durationMs: options.live ? null : options.media.durationMs,
      ...plannedPicture(options.media, options.plan),
      audioFormat: plannedAudio(options.media, options.plan),
      plan: toSummary(options.plan),
      ...(mapsTones(options.plan) ? { toneMapped: true } : {}),
      ...(tempo === 1 ? {} : { tempo: { factor: tempo, fromMs } }),
    };
    this.#start = new TrackStart({
      size: this.info,
      audioFormat: this.info.audioFormat,
      startAtMs: options.live ? 0 : fromMs,
      onTag: (tag) => this.queue.push(tag),
      onBegun: () => this.#opened.resolve(),
    });
    this.#demuxer = new FlvDemuxer({ shiftMs: placeMs - OUTPUT_SHIFT_MS, onTag: (tag) => this.#take(tag) });
    this.ready = this.#whenReady();
    this.#process = new FfmpegProcess({
      args: ffmpegArguments({
        plan: options.plan,
        live: options.live,
        soundFromMs: options.media.audio?.startMs,
        ...feed,
      }),
      environment: feed.environment,
      ...(feed.stdin === undefined ? {} : { stdin: feed.stdin }),
      onData: (chunk) => this.#read(chunk),
      onExit: (exit) => this.#exited(exit),
    });
    this.#watchForStall();
    // The stream may fail while the process is still being started and has no error listener yet.
    feed.stdin?.on("error", (cause) => this.#fail(this.#brokenFeed(cause)));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#stallTimer);
    await this.#process.stop();
    this.#stdin?.destroy();
    this.queue.clear();
    await this.#options.onClose?.();
  }

  async #whenReady(): Promise<void> {
    const { signal } = this.#options;
    const timer = setTimeout(
      () => this.#opened.reject(this.#notReady()),
      this.#options.readyTimeoutMs ?? READY_TIMEOUT_MS,
    );
    const abort = () => this.#opened.reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      await this.#opened.promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /**
   * Returns the error of an opening that timed out. ffmpeg may omit a track silently, so the error names the missing
   * one.
   */
  #notReady(): RoomcastError {
    if (this.#playedToMs === null) {
      const failure = this.#options.upstreamFailure?.();
      return failure ?? new RoomcastError("FailedOperation.SourceTimeout", "The source gave no media in time.");
    }
    const { missing } = this.#start;
    return new RoomcastError("FailedOperation.SourceUnsupported", `The source gives media, but no ${missing}.`);
  }

  #read(chunk: Buffer): void {
    this.#watchForStall();
    try {
      this.#demuxer.push(chunk);
    } catch (cause) {
      this.#fail(new RoomcastError("FailedOperation.MediaEngine", "ffmpeg wrote an invalid FLV stream.", { cause }));
    }
  }

  #take(tag: MediaTag): void {
    if (!tag.sequenceHeader) {
      this.#playedToMs = Math.max(this.#playedToMs ?? 0, tag.dtsMs + this.#durationOf(tag));
    }
    this.#start.take(tag);
  }

  #durationOf(tag: MediaTag): number {
    if (tag.kind === "video") return tag.compositionMs + 1000 / (this.info.fps ?? 25);
    // An AAC frame is 1024 samples (ISO/IEC 14496-3, section 4.5.2.1.1).
    return 1_024_000 / (this.#options.media.audio?.sampleRateHz ?? 48_000);
  }

  #exited(exit: FfmpegExit): void {
    clearTimeout(this.#stallTimer);
    if (this.#closed !== undefined) return;
    this.#start.end();
    const { media, live, endsProperly } = this.#options;
    const end = classifyEnd({
      exit,
      endIsLoss: endsProperly === undefined ? live : !endsProperly(),
      upstreamFailure: this.#options.upstreamFailure?.(),
      playedToMs: this.#playedToMs === null ? null : positionOf(this.#playedToMs, this.info),
      declaredMs: live ? null : declaredDurationMs(media),
      declaredIsRough: media.durationIsRough,
      inFragments: media.inFragments,
    });
    // The rejection only matters if ffmpeg ended before the source was open.
    this.#opened.reject(end.name === "failed" ? end.error : this.#notReady());
    this.queue.finish(end);
  }

  #fail(error: RoomcastError): void {
    clearTimeout(this.#stallTimer);
    if (this.#closed !== undefined) return;
    this.#opened.reject(error);
    this.queue.finish({ name: "failed", error });
    void this.#process.stop();
  }

  #brokenFeed(cause: unknown): RoomcastError {
    const failure = this.#options.upstreamFailure?.();
    return failure ?? new RoomcastError("FailedOperation.SourceLost", "The source's stream broke off.", { cause });
  }

  protected override pauseReading(): void {
    clearTimeout(this.#stallTimer);
    this.#stallTimer = undefined;
    this.#process.pause();
  }

  protected override resumeReading(): void {
    this.#process.resume();
    this.#watchForStall();
  }

  /**
   * Ends the source if ffmpeg gives nothing for too long. The time-outs of ffmpeg do not cover every way in which a
   * source can hang.
   */
  #watchForStall(): void {
    if (this.#stallTimer !== undefined) {
      this.#stallTimer.refresh();
      return;
    }
    if (this.queue.end !== undefined) return;
    this.#stallTimer = setTimeout(() => {
      const failure = this.#options.upstreamFailure?.();
      const text = `The source gave nothing for ${this.#stallTimeoutMs / 1000} s.`;
      this.#fail(
        new RoomcastError("FailedOperation.SourceTimeout", failure === undefined ? text : `${text} ${failure.message}`),
      );
    }, this.#stallTimeoutMs);
  }
}

/** Converts playing time to a position in the source. */
function positionOf(dtsMs: number, { tempo }: SourceInfo): number {
  return tempo === undefined ? dtsMs : tempo.fromMs + (dtsMs - tempo.fromMs) * tempo.factor;
}

/** Raw streams have no index, so their duration is an estimate from the bit rate. */
const GUESSED_DURATION = new Set(["mp3", "aac", "ac3", "eac3", "h264", "hevc", "amr", "mpeg"]);

function declaredDurationMs(media: MediaInfo): number | null {
  return GUESSED_DURATION.has(media.container) ? null : media.durationMs;
}
