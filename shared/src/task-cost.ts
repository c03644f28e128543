/**
 * What a task costs a worker, in units. A core carries about 100 of them: some 25 streams that are copied, or two
 * 720p30 streams that are transcoded.
 */
export const UNITS_PER_CORE = 100;

const COPY_UNITS = 4;
const TRANSCODE_BASE_UNITS = 6;
/** 1280 × 720 at 30 frames a second: 27.6 million pixels a second cost about 40 units. */
const TRANSCODE_UNITS_PER_MEGAPIXEL_S = 1.45;

export type CostBasis = { readonly video: "copy" } | { readonly video: "transcode"; readonly pixelsPerSecond: number };

/** Units that a task takes while it runs. Pure. */
export function taskCost(basis: CostBasis): number {
  return basis.video === "copy"
    ? COPY_UNITS
    : TRANSCODE_BASE_UNITS + (basis.pixelsPerSecond / 1e6) * TRANSCODE_UNITS_PER_MEGAPIXEL_S;
}
