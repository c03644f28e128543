import { RoomcastError, shownUrl } from "@roomcast/shared";
import type { Logger } from "pino";
import type { DemuxedTrack } from "../demux/demuxer.ts";
import { openFeedSource } from "../feed/feed-source.ts";
import type { TranscodeFlvOptions } from "../ffmpeg/ffmpeg-source.ts";
import type { HttpClient, HttpDocument } from "../http/http-client.ts";
import type { PlanOptions } from "../plan/plan.ts";
import type { Source } from "../source.ts";
import { HlsFeed } from "./hls-feed.ts";
import type { HlsPresentation } from "./hls-presentation.ts";
import { DEFAULT_PATIENCE_MS, openHls } from "./open-hls.ts";

export interface HlsSourceOptions {
  readonly url: string;
  readonly http: HttpClient;
  /** The document that was read from `url`. */
  readonly document: HttpDocument;
  readonly startAtMs: number;
  /** True if the request's Mode is `live`. */
  readonly askedLive: boolean;
  readonly wishes: PlanOptions;
  readonly transcodeFlv: (options: TranscodeFlvOptions) => Promise<Source>;
  /** Plays a presentation whose codecs this process does not read. */
  readonly openForeign: (options: ForeignHlsOptions) => Promise<Source>;
  readonly patienceMs?: number | undefined;
  /** True if the source was played before. A growing playlist is then opened only when it has an unplayed segment. */
  readonly returns?: boolean | undefined;
  readonly readyTimeoutMs?: number | undefined;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

export interface ForeignHlsOptions {
  readonly presentation: HlsPresentation;
  readonly tracks: readonly DemuxedTrack[];
  readonly startAtMs: number;
  readonly plan: PlanOptions;
  readonly reasons: readonly string[];
}

const READY_TIMEOUT_MS = 30_000;
/**
 * The least that is played, ms. It applies if the start position is near or beyond the end, so that the room sees a
 * picture.
 */
const LEAST_LEFT_MS = 1000;

/**
 * Opens an HLS stream. This process reads the playlists itself; if ffmpeg is needed, it gets only the media.
 *
 * @throws RoomcastError `FailedOperation.Source…`; the signal's reason if the signal aborts
 */
export async function openHlsSource(options: HlsSourceOptions): Promise<Source> {
  const { url, http, document, askedLive, wishes, log, signal, patienceMs, returns } = options;
  const presentation = await openHls({
    url,
    http,
    document,
    signal,
    logger: log,
    mode: askedLive ? "live" : "vod",
    maxHeight: wishes.maxHeight ?? wishes.canvas?.height,
    audioTrack: wishes.audioTrack,
    patienceMs,
    playedToMs: returns === true ? options.startAtMs : undefined,
  });
  const { live, durationMs } = presentation;
  const startAtMs = live ? 0 : withinDuration(options.startAtMs, durationMs);
  const plan = { ...wishes, live, askedLive };
  // If the playlist has no variants, there was no choice that the plan should explain.
  const reasons = presentation.variant === null ? [] : presentation.reasons;
  let foreign: readonly DemuxedTrack[] | undefined;
  const feed = new HlsFeed({
    presentation,
    fromMs: startAtMs,
    audioTrack: wishes.audioTrack,
    onForeign: (tracks) => {
      foreign = tracks;
    },
    log,
  });
  try {
    return await openFeedSource({
      feed,
      shown: shownUrl(url),
      container: "hls",
      live,
      segmented: true,
      patienceMs: patienceMs ?? DEFAULT_PATIENCE_MS,
      durationMs,
      startAtMs,
      plan,
      reasons,
      transcodeFlv: options.transcodeFlv,
      log,
      signal,
      readyTimeoutMs: options.readyTimeoutMs ?? READY_TIMEOUT_MS,
    });
  } catch (error) {
    signal.throwIfAborted();
    if (foreign === undefined) throw RoomcastError.from(error);
    return await options.openForeign({ presentation, tracks: foreign, startAtMs, plan, reasons });
  }
}

function withinDuration(startAtMs: number, durationMs: number | null): number {
  return durationMs === null ? startAtMs : Math.max(0, Math.min(startAtMs, durationMs - LEAST_LEFT_MS));
}
