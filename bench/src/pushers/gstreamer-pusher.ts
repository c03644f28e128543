import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Stack } from "@roomcast/dev/stack/stack";
import { processPusher } from "./process-pusher.ts";
import type { Pusher } from "./pusher.ts";

const ELEMENTS = ["souphttpsrc", "qtdemux", "queue", "h264parse", "aacparse", "flvmux", "rtmp2sink"];

const run = promisify(execFile);

/** Returns the version of GStreamer, or null if something that the pipeline needs is not installed. */
export async function gstreamerVersion(): Promise<string | null> {
  try {
    await Promise.all(ELEMENTS.map((element) => run("gst-inspect-1.0", ["--exists", element])));
    const { stdout } = await run("gst-launch-1.0", ["--version"]);
    return /version (\S+)/.exec(stdout)?.[1] ?? "unknown";
  } catch {
    return null;
  }
}

/** The peer: one `gst-launch-1.0` a stream that copies both tracks. Its sink keeps to the clock, as `-re` does. */
export function gstreamerPusher(stack: Stack): Promise<Pusher> {
  return processPusher({
    name: "GStreamer",
    stack,
    program: "gst-launch-1.0",
    args: ({ clipUrl, rtmpUrl }) =>
      [
        "-q",
        `souphttpsrc location=${clipUrl} ! qtdemux name=demux`,
        `flvmux name=mux streamable=true ! rtmp2sink sync=true location=${rtmpUrl}`,
        "demux.video_0 ! queue ! h264parse ! mux.video",
        "demux.audio_0 ! queue ! aacparse ! mux.audio",
      ].flatMap((part) => part.split(" ")),
  });
}
