import type { SeenPicture } from "./room-tap.ts";

/** Between neighbouring pictures, ms. */
export interface PictureGaps {
  /** The largest step of their timestamps. */
  readonly dtsMs: number;
  /** The largest wall-clock time between their arrivals. */
  readonly arrivalMs: number;
}

/** The largest gaps in a run of pictures; 0 where there are fewer than two. Pure. */
export function largestGaps(pictures: readonly SeenPicture[]): PictureGaps {
  let dtsMs = 0;
  let arrivalMs = 0;
  for (const [n, picture] of pictures.entries()) {
    const before = pictures[n - 1] ?? picture;
    dtsMs = Math.max(dtsMs, picture.dtsMs - before.dtsMs);
    arrivalMs = Math.max(arrivalMs, picture.arrivedAtMs - before.arrivedAtMs);
  }
  return { dtsMs, arrivalMs };
}
