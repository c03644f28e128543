import type { Readable } from "node:stream";
import { RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { PinnedHost } from "../../egress/egress.ts";
import { ByteFeed } from "../feed/byte-feed.ts";
import { openFeedSource } from "../feed/feed-source.ts";
import { choosePlayedTracks, isReadHere as isTrackReadHere } from "../feed/played-tracks.ts";
import { openStreamSource, transcodeFlv } from "../ffmpeg/ffmpeg-source.ts";
import { probe } from "../ffmpeg/probe.ts";
import { type PlanOptions, planPush } from "../plan/plan.ts";
import type { Source } from "../source.ts";
import { announcedTracks } from "./announced-tracks.ts";
import { parseSrtAddress, srtPlaylist } from "./srt-address.ts";
import { SrtReceiver } from "./srt-receiver.ts";

export interface OpenSrtSourceOptions {
  /** `srt://host:port?…`. Its secrets stay in this process and in a pipe. */
  readonly url: string;
  /** True if the request's Mode is live, so that every end is a loss. */
  readonly askedLive: boolean;
  /** True if this worker's ffmpeg reads SRT. */
  readonly supported: boolean;
  /** Checks the host and returns the address to connect to. */
  readonly resolve: (hostname: string) => Promise<PinnedHost>;
  readonly ffprobePath: string;
  readonly plan: Omit<PlanOptions, "live" | "askedLive">;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly probeDeadlineMs?: number | undefined;
  readonly readyTimeoutMs?: number | undefined;
  readonly stallTimeoutMs?: number | undefined;
}

/**
 * Calls an SRT server and plays its stream from the first keyframe on. The source is always live.
 *
 * @throws RoomcastError `FailedOperation.Source…` if it cannot be opened; the signal's reason when that aborts.
 *   Nothing is left running after an error.
 */
export async function openSrtSource(options: OpenSrtSourceOptions): Promise<Source> {
  const { askedLive, signal } = options;
  if (!options.supported) {
    throw new RoomcastError(
      "FailedOperation.SourceUnsupported",
      "The ffmpeg of this worker cannot read SRT: it was built without libsrt (`ffmpeg -protocols` names what it reads).",
    );
  }
  const address = parseSrtAddress(options.url);
  const pinned = await options.resolve(address.host);
  signal.throwIfAborted();
  const where = `${address.host}:${address.port}`;
  const receiver = new SrtReceiver({ playlist: srtPlaylist(address, pinned), where });
  try {
    if (await isReadHere(receiver.probing, signal)) return await openHere(receiver, where, options);
    const { media, videoIndex, audioIndex } = await probe({
      ffprobePath: options.ffprobePath,
      input: { kind: "stream", format: "mpegts", stream: receiver.probing },
      deadlineMs: options.probeDeadlineMs,
      signal,
      upstreamFailure: () => receiver.failure,
    });
    receiver.probing.destroy();
    return await openStreamSource({
      // A duration that ffprobe reports for a live stream is only a guess.
      media: { ...media, durationMs: null },
      plan: planPush(media, { ...options.plan, live: true, askedLive }),
      live: true,
      endsProperly: () => !askedLive,
      format: "mpegts",
      stream: receiver.stream,
      videoIndex,
      audioIndex,
      signal,
      readyTimeoutMs: options.readyTimeoutMs,
      stallTimeoutMs: options.stallTimeoutMs,
      upstreamFailure: () => receiver.failure,
      onClose: () => receiver.close(),
    });
  } catch (error) {
    await receiver.close();
    throw error;
  }
}

/** Returns true if this process can demux the tracks that are present. */
async function isReadHere(stream: Readable, signal: AbortSignal): Promise<boolean> {
  const tracks = await announcedTracks(stream, signal);
  if (tracks === null) return false;
  const { tracks: played } = choosePlayedTracks(tracks);
  return played.length > 0 && played.every(isTrackReadHere);
}

async function openHere(receiver: SrtReceiver, where: string, options: OpenSrtSourceOptions): Promise<Source> {
  const { askedLive, plan, signal, log, readyTimeoutMs } = options;
  receiver.probing.destroy();
  const feed = new ByteFeed({
    body: receivedBytes(receiver),
    format: "container",
    audioTrack: plan.audioTrack,
    live: true,
    endIsLoss: askedLive,
  });
  return await openFeedSource({
    feed,
    shown: `srt://${where}`,
    container: "mpegts",
    live: true,
    endIsLoss: askedLive,
    plan: { ...plan, live: true, askedLive },
    transcodeFlv,
    log,
    signal,
    readyTimeoutMs,
  });
}

/** Yields the bytes of the call until it ends. If the consumer stops earlier, the call is ended too. */
async function* receivedBytes(receiver: SrtReceiver): AsyncGenerator<Buffer, void> {
  try {
    // SAFETY: a byte stream without an encoding gives buffers.
    for await (const chunk of receiver.stream) yield chunk as Buffer;
    if (receiver.failure !== undefined) throw receiver.failure;
  } finally {
    await receiver.close();
  }
}
