import type { PlanSummary } from "@roomcast/shared";
import type { AudioFormat } from "../../media/formats.ts";
import type { MediaInfo } from "../../media/media-info.ts";
import { type AudioPlan, planAudio, USUAL_AUDIO } from "./audio-plan.ts";
import type { OutputWishes } from "./output-wishes.ts";
import { planVideo, type VideoPlan } from "./video-plan.ts";

export interface Plan {
  readonly video: VideoPlan;
  readonly audio: AudioPlan;
  /** Sentences that say why a track is not copied, and which parts of the request could not be met. */
  readonly reasons: readonly string[];
}

export interface PlanOptions extends OutputWishes {
  /** True if the source is live; false unless given. */
  readonly live?: boolean;
  /** True if the request's Mode is `live`; the same as `live` unless given. */
  readonly askedLive?: boolean;
  /** True if this worker's ffmpeg can tone-map HDR; true unless given. */
  readonly toneMapping?: boolean;
}

/**
 * Decides which tracks are copied into the room, which are encoded and which are made because the source lacks them.
 * Pure.
 *
 * @throws never; a source without any track gives a plan that generates both, so callers must refuse such a source
 *   before this call.
 */
export function planPush(media: MediaInfo, options: PlanOptions = {}): Plan {
  const live = options.live ?? false;
  const wishes = live ? { ...options, tempo: 1 } : options;
  const lateMs = live || media.audio === null ? 0 : (media.video?.startMs ?? 0) - (media.audio.startMs ?? 0);
  const video = planVideo(media.video, { ...wishes, lateMs });
  const audio = planAudio(media.audio, wishes);
  const reasons = [
    ...(media.choices ?? []),
    ...video.reasons,
    ...audio.reasons,
    ...notAsAsked(options, live),
    ...higherThanAsked(media, options),
  ];
  return { video: video.plan, audio: audio.plan, reasons };
}

function notAsAsked({ askedLive, tempo = 1, videoEncode }: PlanOptions, live: boolean): string[] {
  const reasons: string[] = [];
  if (live && tempo !== 1) reasons.push("A live source cannot be played faster or slower: Tempo is not applied.");
  if ((videoEncode?.fps ?? 0) > 30) reasons.push(`Fps ${videoEncode?.fps} is more than rooms take: it is 30 at most.`);
  if (askedLive !== undefined && askedLive !== live) {
    reasons.push(
      live
        ? "Mode is vod, but the source is live: it starts at its newest."
        : "Mode is live, but the source is recorded: it is played from its beginning to its end.",
    );
  }
  return reasons;
}

/**
 * Returns a reason if the smallest size of the source exceeds the requested height, because that size is then played.
 */
function higherThanAsked({ video }: MediaInfo, { maxHeight }: PlanOptions): string[] {
  if (video === null || maxHeight === undefined || video.height <= maxHeight) return [];
  return [`The source has no rendition of ${maxHeight} lines or less: it is played with its ${video.height}.`];
}

/** Returns true if no track is decoded or made. Pure. */
export function copiesAll(plan: Plan): boolean {
  return plan.video.action === "copy" && plan.audio.action === "copy";
}

/** Returns true if no encoder is needed, because a track that is not copied is a black picture or silence. Pure. */
export function copiesOrMakes(plan: Plan): boolean {
  return plan.video.action !== "transcode" && plan.audio.action !== "transcode";
}

/** Returns the speed at which the source is played. Pure. */
export function plannedTempo(plan: Plan): number {
  if (plan.video.action === "transcode") return plan.video.tempo;
  return plan.audio.action === "transcode" ? plan.audio.tempo : 1;
}

/** Returns the form of a plan that reports carry. Pure. */
export function toSummary(plan: Plan): PlanSummary {
  return { video: plan.video.action, audio: plan.audio.action, reasons: plan.reasons.slice(0, 20) };
}

/** Returns true if HDR is tone-mapped, which costs more than the rest of an encode. Pure. */
export function mapsTones(plan: Plan): boolean {
  return plan.video.action === "transcode" && plan.video.tonesOf !== undefined;
}

/** Returns the size and frame rate that the room gets. Pure. */
export function plannedPicture(media: MediaInfo, plan: Plan): { width: number; height: number; fps: number | null } {
  const { width, height, fps } = plan.video.action === "copy" ? (media.video ?? NO_PICTURE) : plan.video;
  return { width, height, fps };
}

const NO_PICTURE = { width: 0, height: 0, fps: null };

/** Returns the audio format that the room gets. Pure. */
export function plannedAudio(media: MediaInfo, plan: Plan): AudioFormat {
  const { sampleRateHz, channels } = plan.audio.action === "copy" ? (media.audio ?? USUAL_AUDIO) : plan.audio;
  return { sampleRateHz, channels };
}
