import type { MediaInfo } from "../../media/media-info.ts";
import type { ProbedMedia } from "../ffmpeg/probe-report.ts";
import { copiesAll, type PlanOptions, plannedAudio, plannedPicture, planPush, toSummary } from "../plan/plan.ts";
import type { Source } from "../source.ts";
import { findMovie } from "./find-movie.ts";
import { type FragmentedMovie, parseFragmentedMovie } from "./fragmented-movie.ts";
import { fitsInOnePass } from "./layout.ts";
import { parseMovie, type VideoTrack } from "./movie.ts";
import { Mp4Error } from "./mp4-error.ts";
import { mediaInfoOf } from "./mp4-media-info.ts";
import { Mp4Source } from "./mp4-source.ts";
import { type OpenRange, RangeStream } from "./range-stream.ts";
import { findRealKeyframes, marksAll, type RealKeyframes } from "./real-keyframes.ts";
import { WorkSlices } from "./work-slices.ts";

export interface OpenMp4Options {
  readonly openRange: OpenRange;
  /** The start position, ms. The video begins with the keyframe before it. */
  readonly startAtMs: number;
  /** Aborts the opening. An opened source ends by its `close()`. */
  readonly signal: AbortSignal;
  readonly plan?: PlanOptions;
  /** True if the worker's ffmpeg decodes xHE-AAC. Default: false. */
  readonly decodesUsac?: boolean | undefined;
}

export type OpenMp4Result =
  | { readonly name: "opened"; readonly source: Source }
  /** The samples are in fragments, which a demuxer must read. The connection is closed. */
  | { readonly name: "fragmented"; readonly movie: FragmentedMovie }
  /** ffmpeg must play the file. The connection is closed. `probed` is what a probe would find, or null if unknown. */
  | { readonly name: "needs-ffmpeg"; readonly probed: ProbedMedia | null; readonly reason: string };

/**
 * The most bytes that may be held back because the tracks are far apart in the file. Files without interleaving need
 * more; such files are rare, and ffmpeg plays them.
 */
const MAX_HELD_BYTES = 2 * 1024 * 1024;

/**
 * Plays a recorded MP4 file in this process if no part of it needs transcoding. Otherwise the result says that the file
 * is fragmented or needs ffmpeg.
 *
 * @throws RoomcastError if the server fails (`SourceNotFound`, `SourceForbidden`, `SourceTimeout`, `SourceUnreachable`,
 *   `SourceLost`) or the file is cut short (`SourceTruncated`); the signal's reason if the signal aborts
 */
export async function openMp4Source(options: OpenMp4Options): Promise<OpenMp4Result> {
  const { signal } = options;
  signal.throwIfAborted();
  const stream = new RangeStream(options);
  // A second call of `close` does no harm. A pending read of the stream rejects, and the error is handled below.
  const abort = () => void stream.close();
  signal.addEventListener("abort", abort, { once: true });
  try {
    const result = await open(stream, options);
    signal.throwIfAborted();
    if (result.name !== "opened") await stream.close();
    return result;
  } catch (thrown) {
    await stream.close();
    signal.throwIfAborted();
    if (thrown instanceof Mp4Error) return { name: "needs-ffmpeg", probed: null, reason: thrown.message };
    throw thrown;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function open(stream: RangeStream, options: OpenMp4Options): Promise<OpenMp4Result> {
  const slices = new WorkSlices();
  const { moov, mediaByte } = await findMovie(stream);
  const fragmented = parseFragmentedMovie(moov, mediaByte);
  if (fragmented !== null) return { name: "fragmented", movie: fragmented };
  const { plan: wishes, decodesUsac, startAtMs } = options;
  const { audioTrack } = wishes ?? {};
  const movie = await parseMovie(moov, { fileBytes: stream.totalBytes, audioTrack, decodesUsac, slices });
  const { video, audio } = movie;
  const isDoubtful = video !== null && stream.seekable && marksAll(video);
  const real = isDoubtful ? await findRealKeyframes(stream, video, startAtMs) : null;
  const media = withKeyframes(mediaInfoOf(movie), real);
  const decodeFromMs = video === null || real === null ? undefined : positionOf(video, real.startSample);
  const probed = { media, videoIndex: video?.index, audioIndex: audio?.index, decodeFromMs };
  const plan = planPush(media, wishes);
  if (video === null || audio === null || !copiesAll(plan)) {
    return { name: "needs-ffmpeg", probed, reason: plan.reasons.join(" ") };
  }
  if (!(await fitsInOnePass({ video, audio }, { maxHeldBytes: MAX_HELD_BYTES, slices }))) {
    return { name: "needs-ffmpeg", probed, reason: "Audio and video are too far apart in the file." };
  }
  const { durationMs } = media;
  const sent = { ...plannedPicture(media, plan), audioFormat: plannedAudio(media, plan), plan: toSummary(plan) };
  const info = { live: false, durationMs, ...sent };
  const source = new Mp4Source({ info, video, audio, startAtMs, keyframeSample: real?.startSample, stream });
  await source.opened;
  return { name: "opened", source };
}

/** Replaces the distance between keyframes if the index marks them wrongly. */
function withKeyframes(media: MediaInfo, real: RealKeyframes | null): MediaInfo {
  const { video } = media;
  return real === null || video === null ? media : { ...media, video: { ...video, gopMs: real.gopMs } };
}

function positionOf({ samples, timescale, shiftMs }: VideoTrack, sample: number): number {
  return Math.max(0, (samples.placeOf(sample).decodeTime * 1000) / timescale + shiftMs);
}
