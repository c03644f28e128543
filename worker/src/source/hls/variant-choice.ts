import type { AudioRendition, MasterPlaylist, Variant } from "./master-playlist.ts";

/** A language (`en`, `eng`, `en-US`), the name of a rendition, or its number from 1. */
export type AudioTrackChoice = string | number;

/** The largest picture and the highest frame rate that a room accepts without encoding. */
const MAX_LONG_SIDE = 1920;
const MAX_SHORT_SIDE = 1080;
const MAX_FPS = 30.5;

/** The work that a variant needs before it can be sent to a room. Smaller is better. */
const EFFORT = {
  none: 0,
  audioEncoded: 1,
  videoEncoded: 2,
  /** The video must be encoded, and its decoding is expensive too (HEVC, AV1, VP9). */
  videoDecodedDearly: 3,
  toneMapped: 4,
  noVideo: 5,
} as const;

type Effort = (typeof EFFORT)[keyof typeof EFFORT];

/**
 * Returns the variants in the order in which they are tried. Variants that a room accepts without encoding come first;
 * among them, the largest picture and then the highest bit rate decide. Redundant variants (the same attributes,
 * another address) stay in the playlist's order. Pure.
 *
 * @param maxHeight the largest allowed picture height in lines; larger variants come last, the smallest of them first
 */
export function rankVariants(variants: readonly Variant[], maxHeight = Number.POSITIVE_INFINITY): Variant[] {
  const sizesAreSaid = saySizes(variants);
  const rated = variants.map((variant) => ({ variant, ranks: ranksOf(variant, maxHeight, sizesAreSaid) }));
  rated.sort((a, b) => compare(a.ranks, b.ranks));
  return rated.map(({ variant }) => variant);
}

/**
 * Returns the variants with a lower bit rate that need no more work than the present one, the highest bit rate first.
 * Pure.
 */
export function rungsBelow(variants: readonly Variant[], present: Variant): Variant[] {
  const sizesAreSaid = saySizes(variants);
  return variants
    .filter((variant) => {
      const sameKind = isAudioOnly(variant, sizesAreSaid) === isAudioOnly(present, sizesAreSaid);
      const noMoreWork = effortOf(variant, sizesAreSaid) <= effortOf(present, sizesAreSaid);
      return sameKind && variant.bandwidth < present.bandwidth && noMoreWork;
    })
    .toSorted((a, b) => b.bandwidth - a.bandwidth);
}

/**
 * Returns the audio renditions of a variant in the order in which they are tried: the requested one, then DEFAULT, then
 * AUTOSELECT, then as listed. The list is empty if the audio is part of the variant or absent. Pure.
 */
export function rankAudio(
  master: MasterPlaylist,
  variant: Variant,
  choice?: AudioTrackChoice,
): { readonly renditions: AudioRendition[]; readonly choiceFound: boolean } {
  const group = master.audio.filter((rendition) => rendition.groupId === variant.audioGroup);
  const chosen = choice === undefined ? undefined : findChosen(group, choice);
  const rank = (rendition: AudioRendition) => {
    if (rendition === chosen) return 0;
    return rendition.isDefault ? 1 : rendition.autoSelect ? 2 : 3;
  };
  return { renditions: group.toSorted((a, b) => rank(a) - rank(b)), choiceFound: chosen !== undefined };
}

/** Explains the choice of a variant in a sentence for the plan. Pure. */
export function reasonFor(variant: Variant, variants: readonly Variant[]): string {
  const what = describeVariant(variant);
  const count = variants.length;
  if (count === 1) return `The playlist has one variant: ${what}.`;
  switch (effortOf(variant, saySizes(variants))) {
    case EFFORT.none:
      return `Of ${count} variants, ${what} was chosen: it is the best one that a room takes without encoding.`;
    case EFFORT.noVideo:
      return `Of ${count} variants, ${what} was chosen, which has no video.`;
    default:
      return `Of ${count} variants, ${what} was chosen, which must be encoded.`;
  }
}

/** Describes a variant, for example `1280x720, 2500 kbit/s, avc1.64001f`. */
export function describeVariant(variant: Variant): string {
  const parts = [
    variant.width !== null && variant.height !== null ? `${variant.width}x${variant.height}` : undefined,
    variant.bandwidth > 0 ? `${Math.round(variant.bandwidth / 1000)} kbit/s` : undefined,
    variant.codecs.length > 0 ? variant.codecs.slice(0, 4).join(" ").slice(0, 80) : undefined,
  ];
  const said = parts.filter((part) => part !== undefined).join(", ");
  return said === "" ? "one without a description" : said;
}

const H264 = /^avc[13]\b/i;
/**
 * The profiles High 10, High 4:2:2 and High 4:4:4 (profile_idc 110, 122, 244), which hardware decoders of phones do not
 * support.
 */
const H264_BEYOND_8_BIT = /^avc[13]\.(?:6e|7a|f4)/i;
const AAC = /^mp4a\.40\.(?:0?2|0?5)$|^mp4a\.(?:66|67|68)$/i;
const DEAR_VIDEO = /^(?:hvc1|hev1|av01|vp0?9|vp8|vvc1|vvi1)\b/i;
const DOLBY_VISION = /^(?:dvh1|dvhe|dva1|dvav|dav1)\b/i;
const AUDIO = /^(?:mp4a|ac-3|ec-3|ac-4|opus|flac|fLaC|mp3|alac|dts[cehlx+-]?)\b/i;
const TEXT = /^(?:wvtt|stpp|tx3g|c608|c708)\b/i;

/**
 * Returns true if any variant declares its picture size. Only then does a missing size suggest a variant without video.
 */
function saySizes(variants: readonly Variant[]): boolean {
  return variants.some(({ height }) => height !== null);
}

function effortOf(variant: Variant, sizesAreSaid: boolean): Effort {
  if (isAudioOnly(variant, sizesAreSaid)) return EFFORT.noVideo;
  const { codecs, videoRange, fps } = variant;
  if ((videoRange !== null && videoRange !== "SDR") || codecs.some((codec) => DOLBY_VISION.test(codec))) {
    return EFFORT.toneMapped;
  }
  if (codecs.some((codec) => DEAR_VIDEO.test(codec))) return EFFORT.videoDecodedDearly;
  const video = codecs.filter((codec) => !AUDIO.test(codec) && !TEXT.test(codec));
  const copied = video.every((codec) => H264.test(codec) && !H264_BEYOND_8_BIT.test(codec));
  if (!copied || isTooLarge(variant) || (fps !== null && fps > MAX_FPS)) return EFFORT.videoEncoded;
  return codecs.some((codec) => AUDIO.test(codec) && !AAC.test(codec)) ? EFFORT.audioEncoded : EFFORT.none;
}

function isTooLarge({ width, height }: Variant): boolean {
  return (
    width !== null &&
    height !== null &&
    (Math.max(width, height) > MAX_LONG_SIDE || Math.min(width, height) > MAX_SHORT_SIDE)
  );
}

function isAudioOnly(variant: Variant, sizesAreSaid: boolean): boolean {
  if (variant.height !== null) return false;
  if (variant.codecs.length > 0) return variant.codecs.every((codec) => AUDIO.test(codec) || TEXT.test(codec));
  return sizesAreSaid && variant.bandwidth > 0 && variant.bandwidth < 200_000;
}

/** Returns the sort keys of a variant, the most important first. Smaller is better. */
function ranksOf(variant: Variant, maxHeight: number, sizesAreSaid: boolean): number[] {
  const lines = Math.min(variant.height ?? 0, variant.width ?? Number.POSITIVE_INFINITY);
  const pixels = (variant.width ?? 0) * (variant.height ?? 0);
  const effort = effortOf(variant, sizesAreSaid);
  const tooLarge = isTooLarge(variant);
  return [
    lines > maxHeight ? lines : 0,
    effort,
    // Variants that are too large are scaled down, and the smallest of them needs the least work.
    tooLarge ? 1 : 0,
    tooLarge ? pixels : -pixels,
    -variant.bandwidth,
  ];
}

function findChosen(group: readonly AudioRendition[], choice: AudioTrackChoice): AudioRendition | undefined {
  if (typeof choice === "number") return group[choice - 1];
  const asked = choice.trim().toLowerCase();
  const language = canonical(asked);
  const ofLanguage = (exact: boolean) =>
    group.find((rendition) => {
      if (rendition.language === null) return false;
      const own = canonical(rendition.language);
      return exact ? own === language : own.split("-")[0] === language.split("-")[0];
    });
  return (
    ofLanguage(true) ?? ofLanguage(false) ?? group.find((rendition) => rendition.name.trim().toLowerCase() === asked)
  );
}

/** Turns `eng` and `EN` into `en`. A string that is not a language tag is only trimmed and put in lower case. */
function canonical(language: string): string {
  try {
    return Intl.getCanonicalLocales(language.trim().replaceAll("_", "-"))[0]?.toLowerCase() ?? language;
  } catch {
    return language.trim().toLowerCase();
  }
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, rank] of a.entries()) {
    const difference = rank - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
