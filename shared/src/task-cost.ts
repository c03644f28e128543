/**
 * The units of work that one core carries: some 25 streams that are copied, or two 720p30 streams that are transcoded.
 */
export const UNITS_PER_CORE = 100;

const COPY_UNITS = 4;
const TRANSCODE_BASE_UNITS = 6;
/** A picture rate of 1280 × 720 at 30 frames a second (27.6 million pixels a second) costs about 40 units. */
const TRANSCODE_UNITS_PER_MEGAPIXEL_S = 1.45;

/** Tone mapping computes in floating point: for 1080p30 it alone takes more than a core. */
const TONE_MAPPING_UNITS_PER_MEGAPIXEL_S = 2.6;

export type CostBasis =
  | { readonly video: "copy" }
  | {
      readonly video: "transcode";
      readonly pixelsPerSecond: number;
      /** True if HDR is tone-mapped; false by default. */
      readonly toneMapped?: boolean | undefined;
    };

/** Returns the units that a task takes while it runs. Pure. */
export function taskCost(basis: CostBasis): number {
  if (basis.video === "copy") return COPY_UNITS;
  const unitsPerMegapixel =
    TRANSCODE_UNITS_PER_MEGAPIXEL_S + (basis.toneMapped === true ? TONE_MAPPING_UNITS_PER_MEGAPIXEL_S : 0);
  return TRANSCODE_BASE_UNITS + (basis.pixelsPerSecond / 1e6) * unitsPerMegapixel;
}
