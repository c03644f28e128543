import type { MediaInfo } from "../../media/media-info.ts";
import { type Plan, type PlanOptions, plannedPicture, planPush } from "../plan/plan.ts";
import type { FeedIntake } from "./feed-intake.ts";
import type { FedTracks } from "./track-probe.ts";

export interface FirstPlan {
  readonly plan: Plan;
  readonly media: MediaInfo;
  /** The plan that is reported to users. It applies after all tracks have come. */
  readonly told: Plan;
}

export interface FirstPlanOptions {
  readonly container: string;
  readonly live: boolean;
  readonly durationMs?: number | null;
  readonly plan: PlanOptions;
}

/** Returns the plan of the first run, which fixes the output format of the session. */
export function firstPlan(options: FirstPlanOptions, intake: FeedIntake, tracks: FedTracks): FirstPlan {
  const { audio, video } = tracks;
  const pictureHere = tracks.pictureHere && !intake.soundLeads;
  const media = { container: options.container, durationMs: options.durationMs ?? null, audio, video };
  const { live } = options;
  const asked = { askedLive: live, ...options.plan, live };
  const whole = planPush(media, asked);
  if (video !== null && pictureHere) return { plan: whole, media, told: whole };
  // The made picture already gets the size of the real one, which comes later.
  const size = video === null ? sizeWithin(intake.pictureSize) : plannedPicture(media, whole);
  const canvas = asked.canvas ?? size;
  const soundOnly = { ...media, video: null };
  const plan = planPush(soundOnly, canvas === undefined ? asked : { ...asked, canvas });
  if (video === null) return { plan, media: soundOnly, told: plan };
  const late = "The picture begins later than the sound: a black one is made until it comes.";
  return { plan, media: soundOnly, told: { ...whole, reasons: [...whole.reasons, late] } };
}

/** Makes an announced size even and limits it to the largest one that rooms take. */
function sizeWithin(size: { readonly width: number; readonly height: number } | undefined) {
  if (size === undefined || size.width > 1920 || size.height > 1080) return undefined;
  return { width: size.width + (size.width % 2), height: size.height + (size.height % 2) };
}
