import type { Stack } from "@roomcast/dev/stack/stack";
import { processPusher } from "./process-pusher.ts";
import type { Pusher } from "./pusher.ts";

export interface BareFfmpegPusherOptions {
  readonly stack: Stack;
  readonly ffmpegPath: string;
  /** ffmpeg's options for the tracks; by default both are copied. */
  readonly codecs?: readonly string[];
}

/** The peer: one `ffmpeg -re -i URL <codecs> -f flv rtmp://…` a stream. */
export function bareFfmpegPusher(options: BareFfmpegPusherOptions): Promise<Pusher> {
  const { stack, ffmpegPath, codecs = ["-c", "copy"] } = options;
  return processPusher({
    name: "bare ffmpeg",
    stack,
    program: ffmpegPath,
    args: ({ clipUrl, rtmpUrl }) =>
      ["-nostdin", "-loglevel", "error", "-re", "-i", clipUrl].concat(codecs, "-f", "flv", rtmpUrl),
  });
}
