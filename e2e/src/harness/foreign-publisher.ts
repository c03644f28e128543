import { type ProcessHandle, startProcess } from "@roomcast/dev/stack/process-handle";

/** ffmpeg, which is none of ours, publishing a file in real time to an RTMP address. */
export interface ForeignPublisher {
  readonly exited: ProcessHandle["exited"];
  /** Leaves as a publisher whose machine is switched off; idempotent. */
  stop(): Promise<void>;
}

export interface PublishOptions {
  readonly filePath: string;
  /** `rtmp://host:port/app/key`. */
  readonly url: string;
  /** Plays the file again and again until it is stopped. */
  readonly forEver?: boolean;
}

export async function publishByFfmpeg({ filePath, url, forEver = false }: PublishOptions): Promise<ForeignPublisher> {
  const loop = forEver ? ["-stream_loop", "-1"] : [];
  const ffmpeg = await startProcess({
    name: "ffmpeg",
    command: process.env["FFMPEG_PATH"] ?? "ffmpeg",
    args: ["-hide_banner", "-loglevel", "error", "-re", ...loop, "-i", filePath, "-c", "copy", "-f", "flv", url],
    env: process.env,
  });
  return { exited: ffmpeg.exited, stop: () => ffmpeg.kill() };
}
