import { RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { Egress } from "../egress/egress.ts";
import { findMediaCapabilities, type MediaCapabilities } from "../media-capabilities.ts";
import { type MediaTools, warmUp } from "../media-tools.ts";
import { openFfmpegSource, transcodeFlv } from "./ffmpeg/ffmpeg-source.ts";
import type { MediaInfo } from "./media-info.ts";
import { type GatewaySession, SourceGateway } from "./http/source-gateway.ts";
import { SourceHttp } from "./http/source-http.ts";
import { httpRange } from "./mp4/http-range.ts";
import { openMp4Source } from "./mp4/open-mp4-source.ts";
import type { OutputWishes } from "./output-wishes.ts";
import { planPush } from "./plan.ts";
import { probe } from "./probe.ts";
import type { ProbedMedia } from "./probe-report.ts";
import { openRtmpSource } from "./rtmp/rtmp-source.ts";
import type { Source } from "./source.ts";
import { openSrtSource } from "./srt/open-srt-source.ts";

export interface OpenSourceOptions extends OutputWishes {
  /** http(s), rtmp(s) or srt, with whatever secrets it holds. */
  readonly url: string;
  /** The request's Mode is `live`. */
  readonly live: boolean;
  /**
   * ms from the beginning; a live source starts at its newest whatever this says. What is encoded begins there, to the
   * frame; what is copied at the keyframe before, as its `dtsMs` says: the timeline rolls it up to the position.
   */
  readonly startAtMs: number;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

export interface SourceFactoryOptions {
  readonly tools: MediaTools;
  readonly egress: Egress;
  /** In place of what the ffmpeg at hand can do. */
  readonly capabilities?: MediaCapabilities;
  readonly probeDeadlineMs?: number;
  readonly readyTimeoutMs?: number;
  readonly stallTimeoutMs?: number;
}

/** Shorter than a room session waits for a silent source: the cause that is told is the connection, not the silence. */
const PATIENCE_MS = 6000;
/** A start behind the end plays the end, so that the room sees a picture before the source is over. */
const LEAST_LEFT_MS = 1000;

/** Opens sources of every kind; made once, when the worker starts. */
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
    const [found] = await Promise.all([findMediaCapabilities(options.tools.ffmpegPath), warmUp(options.tools)]);
    return new SourceFactory(options, await SourceGateway.start(options.egress), options.capabilities ?? found);
  }

  /** Ends what ffmpeg still reads; the sources themselves are closed by who opened them. Idempotent. */
  async close(): Promise<void> {
    await this.#gateway.close();
  }

  /**
   * Opens a source: RTMP by its own client; SRT by an ffmpeg that only receives; a recorded MP4 that can be copied in this process; all else with ffmpeg.
   *
   * @throws RoomcastError `FailedOperation.Source…`; the signal's reason when that aborts. Nothing is left running then.
   */
  async open(options: OpenSourceOptions): Promise<Source> {
    const { signal, startAtMs, url, log } = options;
    signal.throwIfAborted();
    if (/^rtmps?:/i.test(url)) return await this.#openRtmp(options);
    if (/^srt:/i.test(url)) return await this.#openSrt(options);
    if (options.live) return await this.#openWithFfmpeg(options, null);
    const openRange = httpRange(new SourceHttp({ egress: this.#options.egress, patienceMs: PATIENCE_MS }), url);
    const opened = await openMp4Source({
      openRange,
      startAtMs,
      signal,
      plan: wishesIn(options),
      decodesUsac: this.#capabilities.decodesUsac,
    });
    if (opened.name === "opened") return opened.source;
    const { reason, probed } = opened.name === "fragmented" ? { reason: "It is fragmented.", probed: null } : opened;
    log.debug({ reason }, "source needs ffmpeg");
    return await this.#openWithFfmpeg(options, probed);
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
      signal: options.signal,
      probeDeadlineMs,
      readyTimeoutMs,
      stallTimeoutMs,
    });
  }

  async #openWithFfmpeg(options: OpenSourceOptions, known: ProbedMedia | null): Promise<Source> {
    const session = this.#gateway.open(options.url);
    try {
      const probed = known ?? (await this.#probe(session, options));
      const { media } = probed;
      if (media.video === null && media.audio === null) {
        throw new RoomcastError("FailedOperation.SourceNotMedia", "The source holds neither video nor audio.");
      }
      const { live: askedLive } = options;
      const live = isLive(media, askedLive || session.unbounded);
      const { readyTimeoutMs, stallTimeoutMs } = this.#options;
      return await openFfmpegSource({
        ...probed,
        url: session.url,
        environment: session.environment,
        plan: planPush(media, { ...wishesIn(options), live, askedLive, toneMapping: this.#capabilities.toneMapping }),
        live,
        // Whoever asked for a recording gets its end; a live playlist may say that it is complete.
        endsProperly: () => !live || !askedLive || session.playlistEnded,
        startAtMs: withinDuration(options.startAtMs, media.durationMs),
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

  async #probe(session: GatewaySession, options: OpenSourceOptions): Promise<ProbedMedia> {
    return await probe({
      ffprobePath: this.#options.tools.ffprobePath,
      input: { kind: "url", url: session.url, environment: session.environment },
      deadlineMs: this.#options.probeDeadlineMs,
      signal: options.signal,
      // Of an HLS playlist the rest may have gone well: what the guard refused is why nothing of it can be played.
      upstreamFailure: () => session.failure ?? session.refusal,
      contentType: () => session.contentType,
      receivedBytes: () => session.receivedBytes,
      audioTrack: options.audioTrack,
      decodes: this.#capabilities.decodes,
    });
  }
}

/** What declares a duration is recorded. What does not is live where its playlist, its length or the request says so. */
function isLive(media: MediaInfo, said: boolean): boolean {
  return media.durationMs === null && (said || media.container === "hls");
}

function wishesIn(options: OpenSourceOptions): OutputWishes {
  const { canvas, audioFormat, volume, tempo, videoEncode, audioEncode, audioTrack } = options;
  return { canvas, audioFormat, volume, tempo, videoEncode, audioEncode, audioTrack };
}

function withinDuration(startAtMs: number, durationMs: number | null): number {
  return durationMs === null ? startAtMs : Math.max(0, Math.min(startAtMs, durationMs - LEAST_LEFT_MS));
}
