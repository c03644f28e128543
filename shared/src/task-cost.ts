/**
 * What a task costs a worker, in units. A core carries about 100 of them: some 25 streams that are copied, or two
 * 720p30 streams that are transcoded.
 */
export const UNITS_PER_CORE = 100;

const COPY_UNITS = 4;
const TRANSCODE_BASE_UNITS = 6;
/** 1280 × 720 at 30 frames a second: 27.6 million pixels a second cost about 40 units. */
const TRANSCODE_UNITS_PER_MEGAPIXEL_S = 1.45;

/** In floating point: 1080p30 takes more than a core for this alone. */
const TONE_MAPPING_UNITS_PER_MEGAPIXEL_S = 2.6;

export type CostBasis =
  | { readonly video: "copy" }
  | {
      readonly video: "transcode";
      readonly pixelsPerSecond: number;
      /** The tones of HDR are mapped; false unless given. */
      readonly toneMapped?: boolean | undefined;
    };

/** Units that a task takes while it runs. Pure. */
export function taskCost(basis: CostBasis): number {
  if (basis.video === "copy") return COPY_UNITS;
  const unitsPerMegapixel =
    TRANSCODE_UNITS_PER_MEGAPIXEL_S + (basis.toneMapped === true ? TONE_MAPPING_UNITS_PER_MEGAPIXEL_S : 0);
  return TRANSCODE_BASE_UNITS + (basis.pixelsPerSecond / 1e6) * unitsPerMegapixel;
}
