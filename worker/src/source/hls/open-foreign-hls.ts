import { Readable } from "node:stream";
import { RoomcastError } from "@roomcast/shared";
import type { MediaInfo, VideoInfo } from "../../media/media-info.ts";
import type { ContainerFormat } from "../demux/detect-container.ts";
import { detectContainer } from "../demux/detect-container.ts";
import type { StreamFormat } from "../ffmpeg/ffmpeg-arguments.ts";
import type { StreamSourceOptions } from "../ffmpeg/ffmpeg-source.ts";
import type { ProbeInput } from "../ffmpeg/probe.ts";
import type { ProbedMedia } from "../ffmpeg/probe-report.ts";
import { type PlanOptions, planPush } from "../plan/plan.ts";
import type { Source } from "../source.ts";
import { ContinuousFragments } from "./continuous-fragments.ts";
import type { HlsPresentation } from "./hls-presentation.ts";
import type { HlsSegment } from "./hls-segment.ts";

export interface ForeignHlsSourceOptions {
  readonly presentation: HlsPresentation;
  readonly startAtMs: number;
  readonly plan: PlanOptions;
  /** Sentences that are added to the reasons of the plan. */
  readonly reasons: readonly string[];
  readonly signal: AbortSignal;
  readonly probe: (input: ProbeInput) => Promise<ProbedMedia>;
  readonly openStream: (options: StreamSourceOptions) => Promise<Source>;
}

const SMALLEST_JUMP_MS = 2000;

/**
 * Plays an HLS stream whose codecs this process does not read (HEVC, AC-3, MP2, …). ffmpeg gets the bytes of the
 * segments, one after another, and detects by itself if their timestamps jump.
 *
 * @throws RoomcastError `FailedOperation.Source…`; the signal's reason if the signal aborts
 */
export async function openForeignHlsSource(options: ForeignHlsSourceOptions): Promise<Source> {
  const { presentation, startAtMs, signal } = options;
  if (presentation.tracks.length > 1) {
    throw new RoomcastError(
      "FailedOperation.SourceUnsupported",
      "The HLS stream has video and audio in separate playlists, and their codecs are not H.264 and AAC: " +
        "give the address of a variant that contains both, or of a stream in H.264 and AAC.",
    );
  }
  const looked = new SegmentBytes(presentation, startAtMs);
  const { format, probed } = await lookAt(looked, options);
  const bytes = new SegmentBytes(presentation, startAtMs);
  try {
    await bytes.format();
    const { live, durationMs } = presentation;
    const video = presentation.joinsParts ? uncopyable(probed.media.video) : probed.media.video;
    const media = { ...probed.media, video, container: "hls", durationMs };
    const planned = planPush(media, { ...options.plan, live });
    const plan = { ...planned, reasons: [...planned.reasons, ...options.reasons] };
    const beginsMs = live ? 0 : bytes.startMs;
    const skipMs = plan.video.action === "transcode" ? Math.max(0, startAtMs - beginsMs) : 0;
    return await options.openStream({
      media: { ...media, durationIsRough: true },
      plan,
      live,
      endsProperly: () => true,
      format: streamFormatOf(format),
      stream: bytes.stream,
      placeMs: live ? 0 : beginsMs + skipMs,
      skipMs,
      // ffmpeg also reports a track that begins late as a jump, so the difference between the tracks' beginnings is
      // added.
      smallestJumpMs: live ? undefined : SMALLEST_JUMP_MS + latenessMs(probed.media),
      videoIndex: probed.videoIndex,
      audioIndex: probed.audioIndex,
      signal,
      upstreamFailure: () => bytes.failure,
      onClose: () => bytes.close(),
    });
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

/**
 * Marks video as not copyable: a later part may have another picture size, and only encoding keeps the session's size.
 */
function uncopyable(video: VideoInfo | null): VideoInfo | null {
  const reason = "The playlist joins parts (EXT-X-DISCONTINUITY), which may have different picture sizes.";
  return video === null ? null : { ...video, uncopyable: video.uncopyable ?? reason };
}

function latenessMs({ video, audio }: MediaInfo): number {
  return Math.abs((video?.startMs ?? 0) - (audio?.startMs ?? 0));
}

async function lookAt(bytes: SegmentBytes, { probe }: ForeignHlsSourceOptions) {
  try {
    const format = await bytes.format();
    return { format, probed: await probe({ kind: "stream", format: streamFormatOf(format), stream: bytes.stream }) };
  } finally {
    await bytes.close();
  }
}

function streamFormatOf(format: ContainerFormat): StreamFormat {
  if (format === "mpegts") return "mpegts";
  return format === "fmp4" || format === "mp4" ? "mov" : "any";
}

/** The segments of a presentation as one stream of bytes. */
class SegmentBytes {
  readonly stream: Readable;
  failure: RoomcastError | undefined;
  readonly #abort = new AbortController();
  readonly #segments: AsyncGenerator<HlsSegment, void, undefined>;
  #first: FirstSegment | undefined;
  #isFragmented = false;

  constructor(presentation: HlsPresentation, fromMs: number) {
    this.#segments = presentation.segments("main", { fromMs, signal: this.#abort.signal });
    this.stream = Readable.from(this.#bytes(), { objectMode: false, highWaterMark: 512 * 1024 });
    this.stream.on("error", () => {});
  }

  /** The start of the first segment, ms. It is known after `format` has resolved. */
  get startMs(): number {
    return this.#first?.segment.startMs ?? 0;
  }

  /** Opens the first segment and recognises its container. It must be called before `stream` is read. */
  async format(): Promise<ContainerFormat> {
    const { value: segment } = await this.#segments.next();
    if (segment === undefined) {
      throw new RoomcastError("FailedOperation.SourceNotMedia", "The HLS playlist is empty: it names no segment.");
    }
    const rest = segment.open(this.#abort.signal)[Symbol.asyncIterator]();
    const first = await rest.next();
    const head = first.done === true ? Buffer.alloc(0) : first.value;
    this.#first = { segment, head, rest };
    const format = detectContainer(segment.init === null ? head : Buffer.concat([segment.init, head]));
    this.#isFragmented = format === "fmp4" || format === "mp4";
    return format;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.stream.destroy();
    await this.#segments.return().catch(() => undefined);
  }

  async *#bytes(): AsyncGenerator<Buffer, void, undefined> {
    const first = this.#first;
    if (first === undefined) return;
    try {
      if (this.#isFragmented) yield* this.#fragments(first);
      else yield* this.#plain(first);
    } catch (thrown) {
      if (this.#abort.signal.aborted) return;
      this.failure = RoomcastError.from(thrown);
      throw this.failure;
    }
  }

  async *#plain(first: FirstSegment): AsyncGenerator<Buffer, void, undefined> {
    for await (const part of this.#parts(first)) yield part.bytes;
  }

  async *#fragments(first: FirstSegment): AsyncGenerator<Buffer, void, undefined> {
    const fragments = new ContinuousFragments();
    for await (const { bytes, begins } of this.#parts(first)) {
      if (begins !== undefined) {
        yield fragments.flush();
        fragments.beginSegment(begins.discontinuity);
      }
      yield* fragments.push(bytes);
    }
    yield fragments.flush();
  }

  /**
   * Yields the bytes of all segments. The first part of each segment after the first one names its segment in `begins`.
   */
  async *#parts(first: FirstSegment): AsyncGenerator<SegmentPart, void, undefined> {
    let { init } = first.segment;
    if (init !== null) yield { bytes: init };
    yield { bytes: first.head };
    for (let next = await first.rest.next(); next.done !== true; next = await first.rest.next()) {
      yield { bytes: next.value };
    }
    for await (const segment of this.#segments) {
      let begins: HlsSegment | undefined = segment;
      if (segment.init !== null && segment.init !== init) {
        yield { bytes: segment.init, begins };
        begins = undefined;
      }
      init = segment.init;
      for await (const bytes of segment.open(this.#abort.signal)) {
        yield { bytes, begins };
        begins = undefined;
      }
    }
  }
}

interface FirstSegment {
  readonly segment: HlsSegment;
  readonly head: Buffer;
  readonly rest: AsyncIterator<Buffer>;
}

interface SegmentPart {
  readonly bytes: Buffer;
  readonly begins?: HlsSegment | undefined;
}
