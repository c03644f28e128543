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
  /** True: an end is a loss. False: a server's word that a recorded stream was played is a proper end. */
  readonly askedLive: boolean;
  /** Makes the connection; on a user's behalf through the egress guard. */
  readonly connect: Dial;
  /** Makes a source of an FLV stream that must not go into the room as it is. */
  readonly transcodeFlv: (options: TranscodeFlvOptions) => Promise<Source>;
  readonly wishes?: OutputWishes;
  readonly log: Logger;
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
