import { RoomcastError } from "@roomcast/shared";
import type { PinnedHost } from "../../egress/egress.ts";
import { openStreamSource } from "../ffmpeg/ffmpeg-source.ts";
import { type PlanOptions, planPush } from "../plan.ts";
import { probe } from "../probe.ts";
import type { Source } from "../source.ts";
import { parseSrtAddress, srtPlaylist } from "./srt-address.ts";
import { SrtReceiver } from "./srt-receiver.ts";

export interface OpenSrtSourceOptions {
  /** `srt://host:port?…`; what is secret of it stays in this process and in a pipe. */
  readonly url: string;
  /** True: an end is a loss. */
  readonly askedLive: boolean;
  /** Whether the ffmpeg at hand reads SRT. */
  readonly supported: boolean;
  /** Judges the host; the address that it gives is dialled. */
  readonly resolve: (hostname: string) => Promise<PinnedHost>;
  readonly ffprobePath: string;
  readonly plan: Omit<PlanOptions, "live" | "askedLive">;
  readonly signal: AbortSignal;
  readonly probeDeadlineMs?: number | undefined;
  readonly readyTimeoutMs?: number | undefined;
  readonly stallTimeoutMs?: number | undefined;
}

/**
 * Calls an SRT server and plays what it sends, from the first keyframe on. Always live.
 *
 * @throws RoomcastError `FailedOperation.Source…` why it could not be opened; the signal's reason when that aborts.
 *   Nothing is left running then.
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
    const { media, videoIndex, audioIndex } = await probe({
      ffprobePath: options.ffprobePath,
      input: { kind: "stream", format: "mpegts", stream: receiver.probing },
      deadlineMs: options.probeDeadlineMs,
      signal,
      upstreamFailure: () => receiver.failure,
    });
    receiver.probing.destroy();
    return await openStreamSource({
      // Of what comes without an end, a duration is a guess.
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
