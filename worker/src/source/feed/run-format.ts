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

/** The decision about a tag in the current run. */
export type TagVerdict =
  | "pass"
  /** The tag cannot be used, because another tag of its track has to come first. */
  | "drop"
  /** The run cannot carry the tag, so a new run has to begin. */
  | "change";

interface TrackFormat {
  /** The codec of the track in the run; null if the run has a made track instead. */
  codec: string | null;
  header: Buffer | undefined;
  /** True if the latest header cannot be carried by the run. */
  unfit: boolean;
}

export interface RunTrack {
  /** Null if the run begins without the track. */
  readonly codec: string | null;
  /** The latest header, also of a track that has no media yet. */
  readonly header: Buffer | undefined;
}

export interface RunFormatOptions {
  readonly plan: Plan;
  /** The output format that the session and the request set. */
  readonly wishes: OutputWishes;
  readonly video: RunTrack;
  readonly audio: RunTrack;
}

/**
 * Decides for each tag whether the current run can play it. The codec, the picture size and the sound format may
 * change, and a track may come late.
 */
export class RunFormat {
  readonly #options: RunFormatOptions;
  readonly #tracks: Record<"audio" | "video", TrackFormat>;
  /** True if no track of this run is encoded. */
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
    // A copied track must fit the room. An encoder is set up for one size and one sound format. The Matroska stream of
    // an HEVC run can carry only one header.
    const fits = this.#copies(tag.kind) ? this.#fits(tag) : !isOtherFormat(tag, track.header);
    track.unfit = codec === "hevc" || !fits;
    if (track.unfit) return "change";
    track.header = tag.payload;
    return "pass";
  }

  /** Decides about a tag of a track for which the run has made a picture or silence so far. */
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

  /** Returns the header that has to precede a late track. */
  headerOf(kind: "audio" | "video"): Buffer | undefined {
    return this.#tracks[kind].header;
  }

  isLate(kind: "audio" | "video"): boolean {
    return this.#tracks[kind].codec === null;
  }

  #copies(kind: "audio" | "video"): boolean {
    return this.#options.plan[kind].action === "copy";
  }

  /** Returns true if the media that a header describes could be copied into the session. */
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

/** Returns true if two headers describe different picture sizes or sound formats. */
function isOtherFormat(tag: FedTag, before: Buffer | undefined): boolean {
  if (before === undefined || tag.foreignCodec !== undefined) return false;
  const [was, is] = [before, tag.payload].map((payload) => formatIn(tag.kind, payload));
  return was !== null && is !== null && was !== is;
}

/** Returns the format in a header, or null if it cannot be read. */
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
