import { type ProcessHandle, startProcess } from "@roomcast/dev/stack/process-handle";

/** An ffmpeg process that publishes a file in real time to an RTMP address, independently of Roomcast's code. */
export interface ForeignPublisher {
  readonly exited: ProcessHandle["exited"];
  /** Kills the process, so that the publisher leaves without a message. Idempotent. */
  stop(): Promise<void>;
}

export interface PublishOptions {
  readonly filePath: string;
  /** `rtmp://host:port/app/key`. */
  readonly url: string;
  /** Plays the file again and again until it is stopped. */
  readonly endless?: boolean;
}

export async function publishByFfmpeg({ filePath, url, endless = false }: PublishOptions): Promise<ForeignPublisher> {
  const loop = endless ? ["-stream_loop", "-1"] : [];
  const ffmpeg = await startProcess({
    name: "ffmpeg",
    command: process.env["FFMPEG_PATH"] ?? "ffmpeg",
    args: ["-hide_banner", "-loglevel", "error", "-re", ...loop, "-i", filePath, "-c", "copy", "-f", "flv", url],
    env: process.env,
  });
  return { exited: ffmpeg.exited, stop: () => ffmpeg.kill() };
}
