import { aboutFrames, type ExpectedPush } from "@roomcast/dev/demo/verdict";

/**
 * All pictures of a clip, and not twice. On a busy machine pictures are repeated while the source is late, so only what
 * must not be missing is counted exactly.
 */
export function framesOfClip(frames: number): ExpectedPush["frames"] {
  return { min: aboutFrames(frames).min, max: 2 * frames - 1 };
}
