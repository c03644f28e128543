import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { RoomcastError, shownText } from "@roomcast/shared";
import type { MediaInfo, VideoInfo } from "../../media/media-info.ts";
import { foreignContentType } from "../foreign-content.ts";
import { childEnvironment } from "./child-environment.ts";
import { FFPROBE_LIMITS, limitedCommand, refuseHugePictures, tooMuchMemory } from "./child-limits.ts";
import { childMemory } from "./child-memory.ts";
import { classifyUnopened, needsMoreMemory } from "./failure.ts";
import { gatewayInputOptions, type StreamFormat, streamInputOptions } from "./ffmpeg-arguments.ts";
import { type ProbedMedia, type ReadProbeOptions, readProbe } from "./probe-report.ts";

export type ProbeInput =
  /** A URL of the source gateway, with additional environment variables for ffprobe. */
  | { readonly kind: "url"; readonly url: string; readonly environment: Readonly<Record<string, string>> }
  /** A stream from its beginning. It can be read only once, so keyframes are not searched for. */
  | { readonly kind: "stream"; readonly format: StreamFormat; readonly stream: Readable };

export interface ProbeOptions extends ReadProbeOptions {
  readonly ffprobePath: string;
  readonly input: ProbeInput;
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Returns the error of the last request upstream, if it failed. */
  readonly upstreamFailure?: (() => RoomcastError | undefined) | undefined;
  /** Returns the content type that the server sent, in lower case. */
  readonly contentType?: (() => string | undefined) | undefined;
  /** Returns the number of bytes received so far. */
  readonly receivedBytes?: (() => number) | undefined;
}

const DEADLINE_MS = 20_000;
const MAX_REPORT_BYTES = 1024 * 1024;
/**
 * The most bytes that ffprobe may read to find out what a source holds. The index of a day-long film fits. Without a
 * limit ffprobe would keep endless ID3 tags and similar headers in memory.
 */
const MAX_PROBED_BYTES = 192 * 1024 * 1024;
const WATCH_EVERY_MS = 100;
const STDERR_CHARACTERS = 8192;
/** The part of a recorded source in which the distance between keyframes is measured, seconds. */
const GOP_WINDOW_S = 10;
/** The longest search for the first sound of a file that has none at its beginning, ms. */
const SOUND_START_DEADLINE_MS = 8000;

/**
 * Finds out with ffprobe which media a source holds.
 *
 * @throws RoomcastError `FailedOperation.SourceNotMedia`, `SourceNotFound`, `SourceForbidden`, `SourceUnreachable`,
 *   `SourceTimeout` or `SourceUnsupported`; the signal's reason when that aborts. The process has ended when this
 *   throws.
 */
export async function probe(options: ProbeOptions): Promise<ProbedMedia> {
  const deadline = AbortSignal.timeout(options.deadlineMs ?? DEADLINE_MS);
  const probed = readProbe(await runFfprobe(options, deadline, ["-show_format", "-show_streams"]), options);
  if (probed.media.video === null && probed.media.audio === null) {
    const none = ["The source holds neither video nor audio that can be played.", ...(probed.media.choices ?? [])];
    throw options.upstreamFailure?.() ?? notMedia(options, none.join(" "));
  }
  refuseHugePictures(probed.media.video);
  const [video, audio] = await Promise.all([withGop(options, deadline, probed), withSoundStart(options, probed)]);
  return { ...probed, media: { ...probed.media, video, ...audio } };
}

/**
 * Finds the beginning of the sound in Matroska by reading up to it. Matroska does not declare where a track begins, and
 * ffprobe reports the beginning of the file instead.
 */
async function withSoundStart(
  options: ProbeOptions,
  { media, audioIndex }: ProbedMedia,
): Promise<Pick<MediaInfo, "audio" | "choices">> {
  const { audio, video, durationMs, container } = media;
  const unknown = container.startsWith("matroska") && durationMs !== null && audio?.startMs === undefined;
  if (options.input.kind === "stream" || !unknown || audio === null || video === null) return { audio };
  const what = ["-select_streams", String(audioIndex), "-read_intervals", "%+#1", "-show_entries", "packet=dts_time"];
  const deadline = AbortSignal.timeout(SOUND_START_DEADLINE_MS);
  try {
    const [first] = packetsOf(await runFfprobe(options, deadline, what));
    if (first !== undefined) return { audio: first.dtsMs > 0 ? { ...audio, startMs: first.dtsMs } : audio };
  } catch {
    // The search took too long or read too much. A busy machine may be the reason, so the source is still played with
    // its sound.
    options.signal?.throwIfAborted();
    return { audio };
  }
  const without = "The audio track is empty: silence is made instead.";
  return { audio: null, choices: [...(media.choices ?? []), without] };
}

/**
 * Measures the keyframe distance of a source that could otherwise be copied. Only recorded sources are measured: their
 * 10 s arrive faster than they play, whereas those of a live source arrive in real time.
 */
async function withGop(options: ProbeOptions, deadline: AbortSignal, probed: ProbedMedia): Promise<VideoInfo | null> {
  const { media, videoIndex } = probed;
  const { video } = media;
  if (options.input.kind === "stream" || video === null || media.durationMs === null || media.container === "hls")
    return video;
  if (video.codec !== "h264" || video.hasBFrames) return video;
  const what = ["-select_streams", String(videoIndex), "-read_intervals", `%+${GOP_WINDOW_S}`];
  const text = await runFfprobe(options, deadline, [...what, "-show_entries", "packet=dts_time,flags"]);
  const packets = packetsOf(text);
  const hidden = packets.some((packet) => packet.hidden)
    ? { uncopyable: "An edit list hides a part of the video." }
    : {};
  return { ...video, gopMs: longestGopMs(packets), ...hidden };
}

async function runFfprobe(options: ProbeOptions, deadline: AbortSignal, what: readonly string[]): Promise<string> {
  options.signal?.throwIfAborted();
  const { input } = options;
  const [source, env] =
    input.kind === "url"
      ? [[...gatewayInputOptions(), "-i", input.url], childEnvironment(input.environment)]
      : [[...streamInputOptions(input.format), "-i", "pipe:0"], childEnvironment()];
  const args = ["-hide_banner", "-loglevel", "warning", ...source, ...what, "-of", "json"];
  const limited = limitedCommand(options.ffprobePath, args, FFPROBE_LIMITS);
  const child = spawn(limited.command, limited.args, { env, stdio: ["pipe", "pipe", "pipe"], windowsHide: true });
  // ffprobe closes its end of the pipe when it has read enough, which is not an error.
  child.stdin.on("error", () => {});
  if (input.kind === "stream") input.stream.pipe(child.stdin);
  else child.stdin.end();
  const kill = () => child.kill("SIGKILL");
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    if (stdout.length > MAX_REPORT_BYTES) kill();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = `${stderr}${text}`.slice(-STDERR_CHARACTERS);
  });
  const exited = Promise.withResolvers<{ code: number | null; signal: string | null }>();
  child.once("error", exited.reject).once("close", (code, signal) => exited.resolve({ code, signal }));
  const receivedAtFirst = options.receivedBytes?.() ?? 0;
  let tooMuch = false;
  let memoryLimitBytes: number | undefined;
  const onExcess = (limitBytes: number) => {
    memoryLimitBytes = limitBytes;
    kill();
  };
  const unwatch =
    child.pid === undefined
      ? undefined
      : childMemory.watch({ pid: child.pid, limitBytes: FFPROBE_LIMITS.residentBytes, onExcess });
  const watch = setInterval(() => {
    tooMuch ||= (options.receivedBytes?.() ?? 0) - receivedAtFirst > MAX_PROBED_BYTES;
    if (tooMuch) kill();
  }, WATCH_EVERY_MS);
  deadline.addEventListener("abort", kill, { once: true });
  options.signal?.addEventListener("abort", kill, { once: true });
  try {
    const exit = await exited.promise;
    options.signal?.throwIfAborted();
    if (exit.code === 0) return stdout;
    if (tooMuch) {
      const read = `${MAX_PROBED_BYTES / 1024 / 1024} MB`;
      const message = `The source did not show what it holds in its first ${read}: its headers are too large or damaged.`;
      throw new RoomcastError("FailedOperation.SourceUnsupported", message);
    }
    const stderrTail = shownText(stderr).split("\n").filter(Boolean);
    const ended = memoryLimitBytes === undefined ? exit : { ...exit, memoryLimitBytes };
    if (needsMoreMemory({ ...ended, stderrTail }))
      throw tooMuchMemory(memoryLimitBytes ?? FFPROBE_LIMITS.residentBytes);
    throw whyUnopened(options, deadline, { ...exit, stderrTail });
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof RoomcastError) throw error;
    throw new RoomcastError("FailedOperation.MediaEngine", "ffprobe could not be started.", { cause: error });
  } finally {
    clearInterval(watch);
    unwatch?.();
    deadline.removeEventListener("abort", kill);
    options.signal?.removeEventListener("abort", kill);
  }
}

function whyUnopened(
  options: ProbeOptions,
  deadline: AbortSignal,
  exit: Parameters<typeof classifyUnopened>[0],
): RoomcastError {
  const failure = options.upstreamFailure?.();
  if (failure !== undefined) return failure;
  if (deadline.aborted) {
    return new RoomcastError("FailedOperation.SourceTimeout", "The source did not show what it holds in time.");
  }
  const error = classifyUnopened(exit);
  return error.code === "FailedOperation.SourceNotMedia" ? notMedia(options, error.message) : error;
}

function notMedia(options: ProbeOptions, message: string): RoomcastError {
  if (options.receivedBytes?.() === 0) {
    return new RoomcastError("FailedOperation.SourceNotMedia", "The source is empty (0 bytes).");
  }
  return foreignContentType(options.contentType?.()) ?? new RoomcastError("FailedOperation.SourceNotMedia", message);
}

/**
 * Returns the longest distance between keyframes, or the time after the last keyframe if that is longer, ms; null
 * without a keyframe.
 */
function longestGopMs(packets: readonly Packet[]): number | null {
  let longestMs: number | null = null;
  let keyframeAt: number | undefined;
  for (const { dtsMs, keyframe } of packets) {
    if (keyframeAt !== undefined) longestMs = Math.max(longestMs ?? 0, dtsMs - keyframeAt);
    if (keyframe) keyframeAt = dtsMs;
  }
  return longestMs;
}

interface Packet {
  readonly dtsMs: number;
  readonly keyframe: boolean;
  /** True if the picture is decoded, but not shown. */
  readonly hidden: boolean;
}

function packetsOf(report: string): Packet[] {
  const packets: unknown = Reflect.get(Object(JSON.parse(report)), "packets");
  if (!Array.isArray(packets)) return [];
  return packets.flatMap((packet: unknown) => {
    const dtsMs = Number(Reflect.get(Object(packet), "dts_time")) * 1000;
    const flags: unknown = Reflect.get(Object(packet), "flags");
    const said = typeof flags === "string" ? flags : "";
    return Number.isFinite(dtsMs) ? [{ dtsMs, keyframe: said.startsWith("K"), hidden: said.includes("D") }] : [];
  });
}
