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
  /** Where to begin, ms from the beginning; the video begins with the keyframe before it. */
  readonly startAtMs: number;
  /** Gives up the opening; an opened source is ended by its `close()`. */
  readonly signal: AbortSignal;
  readonly plan?: PlanOptions;
  /** Whether the ffmpeg at hand decodes xHE-AAC; false unless given. */
  readonly decodesUsac?: boolean | undefined;
}

export type OpenMp4Result =
  | { readonly name: "opened"; readonly source: Source }
  /** The samples are in fragments along the way, for a demuxer to read. Nothing is held open any more. */
  | { readonly name: "fragmented"; readonly movie: FragmentedMovie }
  /** Nothing is held open any more. `probed` is what a probe would say, where this was found out on the way. */
  | { readonly name: "needs-ffmpeg"; readonly probed: ProbedMedia | null; readonly reason: string };

/**
 * What may have to be held back because the tracks lie far apart. Files with more are rare (made without
 * interleaving), and for them two connections that take turns would cost what ffmpeg costs.
 */
const MAX_HELD_BYTES = 2 * 1024 * 1024;

/**
 * Plays a recorded MP4 file in this process, where nothing of it needs transcoding; says so where ffmpeg must do it.
 *
 * @throws RoomcastError where the server fails (`SourceNotFound`, `SourceForbidden`, `SourceTimeout`,
 *   `SourceUnreachable`, `SourceLost`) or the file is cut short (`SourceTruncated`); the signal's reason when it aborts
 */
export async function openMp4Source(options: OpenMp4Options): Promise<OpenMp4Result> {
  const { signal } = options;
  signal.throwIfAborted();
  const stream = new RangeStream(options);
  // Closing is idempotent and what waits for the stream rejects; the rejection is answered below.
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
    return { name: "needs-ffmpeg", probed, reason: "Sound and picture lie too far apart in the file." };
  }
  const { durationMs } = media;
  const sent = { ...plannedPicture(media, plan), audioFormat: plannedAudio(media, plan), plan: toSummary(plan) };
  const info = { live: false, durationMs, ...sent };
  const source = new Mp4Source({ info, video, audio, startAtMs, keyframeSample: real?.startSample, stream });
  await source.opened;
  return { name: "opened", source };
}

/** The distance of keyframes as it really is, where the index is wrong. */
function withKeyframes(media: MediaInfo, real: RealKeyframes | null): MediaInfo {
  const { video } = media;
  return real === null || video === null ? media : { ...media, video: { ...video, gopMs: real.gopMs } };
}

function positionOf({ samples, timescale, shiftMs }: VideoTrack, sample: number): number {
  return Math.max(0, (samples.placeOf(sample).decodeTime * 1000) / timescale + shiftMs);
}
