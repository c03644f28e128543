import { parseAvcConfig } from "../../media/codec/avc-config.ts";
import { CodecError } from "../../media/codec/codec-error.ts";
import { reordersFrames } from "../../media/codec/sps.ts";
import { videoInfoOf } from "../../media/codec/track-info.ts";
import { tagDataOffset } from "../../media/flv/flv-tag.ts";
import { planAudio } from "../plan/audio-plan.ts";
import type { OutputWishes } from "../plan/output-wishes.ts";
import { copiesOrMakes, type Plan } from "../plan/plan.ts";
import { planVideo } from "../plan/video-plan.ts";
import { codecOf, type FedTag } from "./fed-tag.ts";
import { readAacInfo } from "./track-probe.ts";

/** What becomes of a tag in the run that is being played. */
export type TagVerdict =
  | "pass"
  /** Nothing can be done with it before another tag of its track has come. */
  | "drop"
  /** The run cannot carry it: a new run is to begin. */
  | "change";

interface TrackFormat {
  /** What the run carries of this track; null: it has none, and it was made. */
  codec: string | null;
  header: Buffer | undefined;
  /** A header has come that the run cannot carry. */
  unfit: boolean;
}

export interface RunTrack {
  /** null: the run begins without the track. */
  readonly codec: string | null;
  /** The header that came last, also of a track that is still to come. */
  readonly header: Buffer | undefined;
}

export interface RunFormatOptions {
  readonly plan: Plan;
  /** What the session is fixed to, and the request's wishes. */
  readonly wishes: OutputWishes;
  readonly video: RunTrack;
  readonly audio: RunTrack;
}

/**
 * Watches whether what comes can still be played by the run that it comes into: its codec, its size and its sound may
 * change, and a track may come late.
 */
export class RunFormat {
  readonly #options: RunFormatOptions;
  readonly #tracks: Record<"audio" | "video", TrackFormat>;
  /** Nothing of this run passes an encoder. */
  readonly #direct: boolean;

  constructor(options: RunFormatOptions) {
    this.#options = options;
    this.#direct = copiesOrMakes(options.plan);
    this.#tracks = { video: { ...options.video, unfit: false }, audio: { ...options.audio, unfit: false } };
  }

  judge(tag: FedTag): TagVerdict {
    const track = this.#tracks[tag.kind];
    const codec = codecOf(tag);
    if (track.codec === null) return this.#judgeLate(tag, track, codec);
    if (codec !== track.codec) return "change";
    if (!tag.sequenceHeader) return track.unfit ? "change" : "pass";
    if (track.header?.equals(tag.payload) === true && !track.unfit) return "pass";
    // What is copied must fit the room; what is encoded is laid out and resampled for one size and one sound format.
    // An HEVC stream has one header.
    const fits = this.#copies(tag.kind) ? this.#fits(tag) : !isOtherFormat(tag, track.header);
    track.unfit = codec === "hevc" || !fits;
    if (track.unfit) return "change";
    track.header = tag.payload;
    return "pass";
  }

  /** The run has made a picture, or silence, for this track so far. */
  #judgeLate(tag: FedTag, track: TrackFormat, codec: string): TagVerdict {
    const known = codec === "h264" || codec === "aac";
    if (tag.sequenceHeader) {
      track.header = tag.payload;
      return "drop";
    }
    if (known && track.header === undefined) return "drop";
    if (tag.kind === "video" && !tag.keyframe) return "drop";
    const fits = known && this.#direct && track.header !== undefined && this.#fits({ ...tag, payload: track.header });
    if (!fits) return "change";
    track.codec = codec;
    return "pass";
  }

  /** The header that a track which came late is to be preceded by. */
  headerOf(kind: "audio" | "video"): Buffer | undefined {
    return this.#tracks[kind].header;
  }

  isLate(kind: "audio" | "video"): boolean {
    return this.#tracks[kind].codec === null;
  }

  #copies(kind: "audio" | "video"): boolean {
    return this.#options.plan[kind].action === "copy";
  }

  /** Whether what a header describes could be copied into the session. */
  #fits({ kind, payload }: Pick<FedTag, "kind" | "payload">): boolean {
    const record = payload.subarray(tagDataOffset(kind));
    const { wishes } = this.#options;
    if (kind === "audio") {
      const info = readAacInfo(record);
      return info !== null && planAudio(info, wishes).plan.action === "copy";
    }
    try {
      const config = parseAvcConfig(record);
      const info = { ...videoInfoOf(config), hasBFrames: reordersFrames(config.sps) === true };
      return planVideo(info, wishes).plan.action === "copy";
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      return false;
    }
  }
}

/** Whether two headers describe pictures of different sizes, or sounds of different formats. */
function isOtherFormat(tag: FedTag, before: Buffer | undefined): boolean {
  if (before === undefined || tag.foreignCodec !== undefined) return false;
  const [was, is] = [before, tag.payload].map((payload) => formatIn(tag.kind, payload));
  return was !== null && is !== null && was !== is;
}

/** null: it cannot be read. */
function formatIn(kind: "audio" | "video", payload: Buffer): string | null {
  const record = payload.subarray(tagDataOffset(kind));
  if (kind === "audio") {
    const info = readAacInfo(record);
    return info === null ? null : `${info.sampleRateHz} ${info.channels}`;
  }
  try {
    const { sps } = parseAvcConfig(record);
    return `${sps.width} ${sps.height}`;
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return null;
  }
}
