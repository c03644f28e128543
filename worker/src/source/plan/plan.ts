import type { PlanSummary } from "@roomcast/shared";
import type { AudioFormat } from "../../media/formats.ts";
import type { MediaInfo } from "../../media/media-info.ts";
import { type AudioPlan, planAudio, USUAL_AUDIO } from "./audio-plan.ts";
import type { OutputWishes } from "./output-wishes.ts";
import { planVideo, type VideoPlan } from "./video-plan.ts";

export interface Plan {
  readonly video: VideoPlan;
  readonly audio: AudioPlan;
  /** Sentences that say why a track is not copied, and what else is not as it was asked for. */
  readonly reasons: readonly string[];
}

export interface PlanOptions extends OutputWishes {
  /** The source is live; false unless given. */
  readonly live?: boolean;
  /** The request's Mode is `live`; the same as `live` unless given. */
  readonly askedLive?: boolean;
  /** The ffmpeg at hand can map the tones of HDR; true unless given. */
  readonly toneMapping?: boolean;
}

/**
 * Decides what is copied into the room, what is encoded anew and what is made because the source lacks it. Pure.
 *
 * @throws never; a source with neither track gives a plan that generates both, which callers refuse beforehand.
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

/** A source in one size, or whose smallest one is larger, is played as it is. */
function higherThanAsked({ video }: MediaInfo, { maxHeight }: PlanOptions): string[] {
  if (video === null || maxHeight === undefined || video.height <= maxHeight) return [];
  return [`The source has no rendition of ${maxHeight} lines or less: it is played with its ${video.height}.`];
}

/** Whether nothing of the source is decoded or made. Pure. */
export function copiesAll(plan: Plan): boolean {
  return plan.video.action === "copy" && plan.audio.action === "copy";
}

/** Whether no encoder is needed: what is not copied is made of a black still and silence. Pure. */
export function copiesOrMakes(plan: Plan): boolean {
  return plan.video.action !== "transcode" && plan.audio.action !== "transcode";
}

/** How fast the source is played. Pure. */
export function plannedTempo(plan: Plan): number {
  if (plan.video.action === "transcode") return plan.video.tempo;
  return plan.audio.action === "transcode" ? plan.audio.tempo : 1;
}

/** A plan as reports carry it. Pure. */
export function toSummary(plan: Plan): PlanSummary {
  return { video: plan.video.action, audio: plan.audio.action, reasons: plan.reasons.slice(0, 20) };
}

/** Whether the tones of HDR are mapped, which costs more than all else of an encode. Pure. */
export function mapsTones(plan: Plan): boolean {
  return plan.video.action === "transcode" && plan.video.tonesOf !== undefined;
}

/** The size and frame rate that the room sees. Pure. */
export function plannedPicture(media: MediaInfo, plan: Plan): { width: number; height: number; fps: number | null } {
  const { width, height, fps } = plan.video.action === "copy" ? (media.video ?? NO_PICTURE) : plan.video;
  return { width, height, fps };
}

const NO_PICTURE = { width: 0, height: 0, fps: null };

/** The audio that the room hears. Pure. */
export function plannedAudio(media: MediaInfo, plan: Plan): AudioFormat {
  const { sampleRateHz, channels } = plan.audio.action === "copy" ? (media.audio ?? USUAL_AUDIO) : plan.audio;
  return { sampleRateHz, channels };
}
