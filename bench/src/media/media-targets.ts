import type { MediaFigures } from "./media-figures.ts";

/** A target of this product, and the result of this run. */
export interface Target {
  readonly name: string;
  readonly value: number;
  readonly atMost: number;
  readonly reached: boolean;
}

const FRAME_MS = 1000 / 30;
const LARGEST_GAP_MS = FRAME_MS + 10;

/** Those that the measured parts say something of. Pure. */
export function mediaTargets({
  passThrough,
  hls,
  firstVideo,
  firstVideoHls,
  switches,
  transcode,
}: MediaFigures): Target[] {
  const targets: Target[] = [];
  const add = (name: string, value: number, atMost: number) => {
    targets.push({ name, value, atMost, reached: value <= atMost });
  };
  if (passThrough !== null) {
    const { ours, bare, gstreamer } = passThrough;
    add("CPU, pass-through, ours / bare ffmpeg", cpu(ours) / cpu(bare), 0.4);
    add("PSS, pass-through, ours / bare ffmpeg", ours.pssMbPerStream / bare.pssMbPerStream, 0.5);
    if (gstreamer !== null) {
      add("PSS, pass-through, ours / GStreamer", ours.pssMbPerStream / gstreamer.pssMbPerStream, 1);
    }
  }
  if (hls !== null) {
    add("CPU, HLS copied, ours / bare ffmpeg", cpu(hls.ours) / cpu(hls.bare), 0.4);
    add("PSS, HLS copied, ours / bare ffmpeg", hls.ours.pssMbPerStream / hls.bare.pssMbPerStream, 0.5);
  }
  if (firstVideo !== null) add("first picture, ours / bare ffmpeg", firstVideo.ratio, 0.6);
  if (firstVideoHls !== null) add("first picture of HLS, ours / bare ffmpeg", firstVideoHls.ratio, 0.6);
  if (switches !== null) {
    const { preRolled, preloaded } = switches;
    add("largest timestamp gap at a pre-rolled switch, worst, ms", preRolled.dtsGapWorstMs, LARGEST_GAP_MS);
    add("largest arrival gap at a pre-rolled switch, median, ms", preRolled.arrivalGapMedianMs, LARGEST_GAP_MS);
    add("PATCH to the new picture at a preloaded switch, median, ms", preloaded.newPictureMedianMs, 150);
  }
  if (transcode !== null) {
    add("CPU, transcode, ours / bare ffmpeg", cpu(transcode.ours) / cpu(transcode.bare), 1.05);
  }
  return targets;
}

function cpu({ cpuSecondsPerStreamMinute }: { readonly cpuSecondsPerStreamMinute: number }): number {
  return cpuSecondsPerStreamMinute;
}
