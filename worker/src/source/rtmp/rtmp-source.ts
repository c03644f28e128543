import type { Logger } from "pino";
import type { Dial } from "../../rtmp/dial-rtmp.ts";
import { openFeedSource } from "../feed/feed-source.ts";
import type { TranscodeFlvOptions } from "../ffmpeg/ffmpeg-source.ts";
import type { OutputWishes } from "../plan/output-wishes.ts";
import type { Source } from "../source.ts";
import { RtmpFeed } from "./rtmp-feed.ts";

export interface RtmpSourceOptions {
  /** `rtmp(s)://host[:port]/app/stream?query`; it stays inside this process. */
  readonly url: string;
  /**
   * True if the request asks for live, so that every end is a loss. Otherwise the server's report that a recorded
   * stream was played to its end is a regular end.
   */
  readonly askedLive: boolean;
  /** Makes the connection. For a user's URL this is the egress guard. */
  readonly connect: Dial;
  /** Opens a source that transcodes a stream whose format rooms do not take. */
  readonly transcodeFlv: (options: TranscodeFlvOptions) => Promise<Source>;
  readonly wishes?: OutputWishes;
  readonly log: Logger;
  readonly signal?: AbortSignal;
  /** The longest wait for the tracks and the first keyframe, ms. */
  readonly readyTimeoutMs?: number;
  readonly silenceTimeoutMs?: number;
}

/**
 * Opens an RTMP stream at its live edge: from the latest keyframe that has come when the tracks are known.
 *
 * @throws RoomcastError `FailedOperation.Source…` if it cannot be opened; the signal's reason when that aborts.
 *   Nothing is left running after an error.
 */
export async function openRtmpSource(options: RtmpSourceOptions): Promise<Source> {
  options.signal?.throwIfAborted();
  const { url, askedLive, connect, silenceTimeoutMs, transcodeFlv, log, signal, readyTimeoutMs } = options;
  const feed = new RtmpFeed({ url, connect, silenceTimeoutMs });
  return await openFeedSource({
    feed,
    shown: feed.shown,
    container: "flv",
    live: true,
    endIsLoss: askedLive,
    plan: { ...options.wishes, live: true, askedLive },
    transcodeFlv,
    log,
    signal,
    readyTimeoutMs,
  });
}
