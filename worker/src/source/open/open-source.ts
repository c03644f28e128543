import { RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { Egress } from "../../egress/egress.ts";
import type { MediaInfo } from "../../media/media-info.ts";
import { refuseHugePictures } from "../ffmpeg/child-limits.ts";
import { openFfmpegSource, transcodeFlv } from "../ffmpeg/ffmpeg-source.ts";
import { findMediaCapabilities, type MediaCapabilities } from "../ffmpeg/media-capabilities.ts";
import type { MediaTools } from "../ffmpeg/media-tools.ts";
import { type ProbeInput, probe } from "../ffmpeg/probe.ts";
import type { ProbedMedia } from "../ffmpeg/probe-report.ts";
import { prepareToStartFfmpeg } from "../ffmpeg/start-ffmpeg.ts";
import { type GatewaySession, SourceGateway } from "../http/source-gateway.ts";
import { SourceHttp } from "../http/source-http.ts";
import type { OutputWishes } from "../plan/output-wishes.ts";
import { type Plan, planPush } from "../plan/plan.ts";
import { openRtmpSource } from "../rtmp/rtmp-source.ts";
import type { Source } from "../source.ts";
import { openSrtSource } from "../srt/open-srt-source.ts";
import { type KnownFacts, openHttpSource } from "./open-http-source.ts";

export interface OpenSourceOptions extends OutputWishes {
  /** An http(s), rtmp(s) or srt URL, which may contain secrets. */
  readonly url: string;
  /** True if the request's Mode is `live`. */
  readonly live: boolean;
  /**
   * The start position, ms from the beginning; ignored by a live source, which starts at its newest media. An encoded
   * track begins exactly there. A copied track begins at the keyframe before, and its `dtsMs` shows that: the timeline
   * then catches up to the position.
   */
  readonly startAtMs: number;
  /**
   * True if the room has seen the source before. A growing playlist is then opened only when it has an unplayed
   * segment.
   */
  readonly returns?: boolean | undefined;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

export interface SourceFactoryOptions {
  readonly tools: MediaTools;
  readonly egress: Egress;
  /** Replaces the capabilities of the installed ffmpeg. */
  readonly capabilities?: MediaCapabilities;
  /** The longest time until a source is open, even if its bytes keep coming. */
  readonly openDeadlineMs?: number;
  readonly probeDeadlineMs?: number;
  readonly readyTimeoutMs?: number;
  readonly stallTimeoutMs?: number;
  /** The longest time without new media of an HLS stream before it counts as lost. */
  readonly hlsPatienceMs?: number;
}

/**
 * The time for which failed requests are repeated. It is shorter than a room session waits for a silent source, so that
 * the error names the connection and not the silence.
 */
const PATIENCE_MS = 6000;
/** The same if the server asks to wait (`Retry-After`). This is still shorter than a room session waits. */
const ASKED_PATIENCE_MS = 12_000;
/**
 * The longest time to open a source. An index of hundreds of megabytes, or a file that is read up to its position,
 * takes long.
 */
const OPEN_DEADLINE_MS = 90_000;
/** The part that is played if the start position is after the end, ms. It lets the room get a picture. */
const LEAST_LEFT_MS = 1000;

/** The assumed distance of a picture from its keyframe in MPEG-TS, ms. Larger distances are rare. */
const LONGEST_KEYFRAME_DISTANCE_MS = 6000;

/** Opens sources of every kind. The worker creates one instance when it starts. */
export class SourceFactory {
  readonly #options: SourceFactoryOptions;
  readonly #gateway: SourceGateway;
  readonly #capabilities: MediaCapabilities;

  private constructor(options: SourceFactoryOptions, gateway: SourceGateway, capabilities: MediaCapabilities) {
    this.#options = options;
    this.#gateway = gateway;
    this.#capabilities = capabilities;
  }

  static async start(options: SourceFactoryOptions): Promise<SourceFactory> {
    const [found] = await Promise.all([
      findMediaCapabilities(options.tools.ffmpegPath),
      prepareToStartFfmpeg(options.tools),
    ]);
    return new SourceFactory(options, await SourceGateway.start(options.egress), options.capabilities ?? found);
  }

  /** Ends the requests of ffmpeg. The sources themselves are closed by their owners. Idempotent. */
  async close(): Promise<void> {
    await this.#gateway.close();
  }

  /**
   * Opens a source. This process reads RTMP itself, and an ffmpeg that only receives reads SRT. The kind of an HTTP
   * source is detected by its bytes: this process reads it if it can, and ffmpeg otherwise.
   *
   * @throws RoomcastError `FailedOperation.Source…`; the signal's reason when that aborts. Nothing is left running
   *   after an error.
   */
  async open(options: OpenSourceOptions): Promise<Source> {
    options.signal.throwIfAborted();
    // The deadline also applies to a source that keeps sending bytes, but slowly.
    const opening = new AbortController();
    const timer = setTimeout(() => opening.abort(tooSlow()), this.#options.openDeadlineMs ?? OPEN_DEADLINE_MS);
    const abort = () => opening.abort(options.signal.reason);
    options.signal.addEventListener("abort", abort, { once: true });
    try {
      return await this.#open({ ...options, signal: opening.signal });
    } finally {
      clearTimeout(timer);
      options.signal.removeEventListener("abort", abort);
    }
  }

  async #open(options: OpenSourceOptions): Promise<Source> {
    const { url } = options;
    if (/^rtmps?:/i.test(url)) return await this.#openRtmp(options);
    if (/^srt:/i.test(url)) return await this.#openSrt(options);
    const { egress, readyTimeoutMs, hlsPatienceMs } = this.#options;
    const http = new SourceHttp({ egress, patienceMs: PATIENCE_MS, askedPatienceMs: ASKED_PATIENCE_MS });
    return await openHttpSource({
      url,
      http,
      askedLive: options.live,
      startAtMs: options.startAtMs,
      returns: options.returns,
      wishes: { ...wishesIn(options), toneMapping: this.#capabilities.toneMapping },
      capabilities: this.#capabilities,
      probe: (input) => this.#probeStream(input, options),
      openWithFfmpeg: (known, facts) => this.#openWithFfmpeg(options, http, { known, ...facts }),
      readyTimeoutMs,
      patienceMs: hlsPatienceMs,
      signal: options.signal,
      log: options.log,
    });
  }

  async #openRtmp(options: OpenSourceOptions): Promise<Source> {
    const { egress, readyTimeoutMs } = this.#options;
    return await openRtmpSource({
      url: options.url,
      askedLive: options.live,
      signal: options.signal,
      connect: (target) => egress.connect(target),
      transcodeFlv,
      wishes: wishesIn(options),
      log: options.log,
      ...(readyTimeoutMs === undefined ? {} : { readyTimeoutMs }),
    });
  }

  async #openSrt(options: OpenSourceOptions): Promise<Source> {
    const { egress, tools, probeDeadlineMs, readyTimeoutMs, stallTimeoutMs } = this.#options;
    return await openSrtSource({
      url: options.url,
      askedLive: options.live,
      supported: this.#capabilities.srt,
      resolve: (hostname) => egress.resolve(hostname),
      ffprobePath: tools.ffprobePath,
      plan: { ...wishesIn(options), toneMapping: this.#capabilities.toneMapping },
      log: options.log,
      signal: options.signal,
      probeDeadlineMs,
      readyTimeoutMs,
      stallTimeoutMs,
    });
  }

  async #openWithFfmpeg(
    options: OpenSourceOptions,
    http: SourceHttp,
    { known, fragments, recorded }: KnownFacts & { readonly known: ProbedMedia | null },
  ): Promise<Source> {
    const session = this.#gateway.open(options.url, http);
    try {
      const probed = known ?? (await this.#probe(session, options));
      const media = fragments === undefined ? probed.media : { ...probed.media, ...fragments, inFragments: true };
      if (media.video === null && media.audio === null) {
        throw new RoomcastError("FailedOperation.SourceNotMedia", "The source holds neither video nor audio.");
      }
      refuseHugePictures(media.video);
      const { live: askedLive } = options;
      const live = fragments === undefined && isLive(media, askedLive || (session.unbounded && recorded !== true));
      const { readyTimeoutMs, stallTimeoutMs } = this.#options;
      const { toneMapping } = this.#capabilities;
      const plan = planPush(media, { ...wishesIn(options), live, askedLive, toneMapping });
      const startAtMs = withinDuration(options.startAtMs, media.durationMs);
      return await openFfmpegSource({
        ...probed,
        media,
        url: session.url,
        environment: session.environment,
        plan,
        live,
        // Only for a request that asks for live is the end of a live source a loss.
        endsProperly: () => !live || !askedLive,
        startAtMs,
        decodeFromMs: probed.decodeFromMs ?? decodeFromMs(media, plan, startAtMs),
        signal: options.signal,
        readyTimeoutMs,
        stallTimeoutMs,
        upstreamFailure: () => session.failure,
        onClose: () => session.close(),
      });
    } catch (error) {
      session.close();
      throw error;
    }
  }

  async #probeStream(input: ProbeInput, options: OpenSourceOptions): Promise<ProbedMedia> {
    return await probe({
      ffprobePath: this.#options.tools.ffprobePath,
      input,
      deadlineMs: this.#options.probeDeadlineMs,
      signal: options.signal,
      audioTrack: options.audioTrack,
      decodes: this.#capabilities.decodes,
    });
  }

  async #probe(session: GatewaySession, options: OpenSourceOptions): Promise<ProbedMedia> {
    return await probe({
      ffprobePath: this.#options.tools.ffprobePath,
      input: { kind: "url", url: session.url, environment: session.environment },
      deadlineMs: this.#options.probeDeadlineMs,
      signal: options.signal,
      upstreamFailure: () => session.failure,
      contentType: () => session.contentType,
      receivedBytes: () => session.receivedBytes,
      audioTrack: options.audioTrack,
      decodes: this.#capabilities.decodes,
    });
  }
}

/**
 * Returns true if a source is live: it declares no duration, and its missing length or the request says that it is
 * live.
 */
function isLive(media: MediaInfo, said: boolean): boolean {
  return media.durationMs === null && said;
}

function wishesIn(options: OpenSourceOptions): OutputWishes {
  const { canvas, audioFormat, volume, tempo, videoEncode, audioEncode, audioTrack, maxHeight } = options;
  return { canvas, audioFormat, volume, tempo, videoEncode, audioEncode, audioTrack, maxHeight };
}

function tooSlow(): RoomcastError {
  return new RoomcastError(
    "FailedOperation.SourceTimeout",
    "The source did not give its first picture in time: its server is too slow.",
  );
}

function withinDuration(startAtMs: number, durationMs: number | null): number {
  return durationMs === null ? startAtMs : Math.max(0, Math.min(startAtMs, durationMs - LEAST_LEFT_MS));
}

/**
 * Returns where decoding has to begin if ffmpeg cannot find this itself. In MPEG-TS ffmpeg seeks to a time and not to a
 * keyframe, so the pictures up to the next keyframe could not be decoded.
 */
function decodeFromMs({ container }: MediaInfo, { video }: Plan, startAtMs: number): number | undefined {
  const isLoose = container.includes("mpegts") && video.action === "transcode";
  return isLoose ? Math.max(0, startAtMs - LONGEST_KEYFRAME_DISTANCE_MS) : undefined;
}
