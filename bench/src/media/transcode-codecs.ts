import { SAMPLE_VIDEO } from "@roomcast/dev/stack/sample-media";
import { encoderOptions } from "@roomcast/worker/ffmpeg-arguments";
import { planVideo } from "@roomcast/worker/video-plan";

/** ffmpeg's codec options that treat a sample clip with B-frames as the worker does, without filters. */
export function transcodeCodecs(): string[] {
  const { width, height, fps, gopFrames } = SAMPLE_VIDEO;
  const video = {
    codec: "h264",
    width,
    height,
    fps,
    pixelFormat: "yuv420p",
    hasBFrames: true,
    gopMs: (gopFrames * 1000) / fps,
    rotation: 0,
    squarePixels: true,
    interlaced: false,
  };
  const { plan } = planVideo(video, {});
  if (plan.action !== "transcode") throw new Error("The worker would not transcode a clip with B-frames.");
  return [...encoderOptions(plan), "-c:a", "copy"];
}
