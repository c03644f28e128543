import { Readable } from "node:stream";
import { RoomcastError } from "@roomcast/shared";
import { classifyUnopened } from "../ffmpeg/failure.ts";
import { type FfmpegExit, FfmpegProcess } from "../ffmpeg/ffmpeg-process.ts";

/** As much may come before the stream is played: some seconds at the highest rates. More is held back. */
const MAX_PREROLL_BYTES = 16 * 1024 * 1024;
/** What the player may be behind before the server is held back. */
const FEED_BYTES = 512 * 1024;
/** Options in front of the list on stdin. */
const INPUT_OPTIONS = [
  ["-hide_banner", "-nostats", "-loglevel", "warning"],
  ["-protocol_whitelist", "pipe,srt", "-format_whitelist", "concat,mpegts"],
  ["-f", "concat", "-safe", "0"],
].flat();
/** A track that stops must not hold up the other one: nothing waits for it for longer than 0.3 s (given in µs). */
const OUTPUT_OPTIONS =
  "-map 0:v? -map 0:a? -c copy -max_interleave_delta 300000 -muxdelay 0 -flush_packets 1 -f mpegts".split(" ");

export interface SrtReceiverOptions {
  /** See `srtPlaylist`; it stays in a pipe. */
  readonly playlist: string;
  /** Host and port as the user gave them, for errors. */
  readonly where: string;
}

/**
 * One call to an SRT server, made by an ffmpeg that hands on the MPEG-TS as it comes. What a source holds is found out
 * and played over one and the same call, because many servers (encoders that listen) take only one.
 */
export class SrtReceiver {
  /** All from the first byte on; to be read once `probing` was destroyed. */
  readonly stream: Readable;
  /** The same, to look at. */
  readonly probing: Readable;
  readonly #where: string;
  readonly #process: FfmpegProcess;
  #receivedBytes = 0;
  #failure: RoomcastError | undefined;

  constructor({ playlist, where }: SrtReceiverOptions) {
    this.#where = where;
    const resume = () => this.#process.resume();
    this.stream = new Readable({ highWaterMark: FEED_BYTES, read: resume });
    this.probing = new Readable({ highWaterMark: MAX_PREROLL_BYTES, read: () => {} });
    this.#process = new FfmpegProcess({
      args: { inputs: [{ source: "pipe:0", options: INPUT_OPTIONS }], outputOptions: OUTPUT_OPTIONS },
      stdin: Readable.from([Buffer.from(playlist)]),
      onData: (chunk) => this.#take(chunk),
      onExit: (exit) => this.#ended(exit),
    });
  }

  /** Why nothing comes any more; undefined while something may. */
  get failure(): RoomcastError | undefined {
    return this.#failure;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Idempotent; resolves when the process is gone. */
  async close(): Promise<void> {
    await this.#process.stop();
    this.probing.destroy();
    this.stream.destroy();
  }

  #take(chunk: Buffer): void {
    this.#receivedBytes += chunk.length;
    const looking = !this.probing.destroyed;
    if (looking) this.probing.push(chunk);
    const hasRoom = this.stream.push(chunk);
    if (looking ? this.stream.readableLength > MAX_PREROLL_BYTES : !hasRoom) this.#process.pause();
  }

  #ended(exit: FfmpegExit): void {
    this.#failure = srtFailure(exit, this.#where, this.#receivedBytes > 0);
    if (!this.probing.destroyed) this.probing.push(null);
    if (!this.stream.destroyed) this.stream.push(null);
  }
}

/** What it means that a call to an SRT server is over; a caller is not told why it was refused. Pure. */
export function srtFailure(exit: FfmpegExit, where: string, received: boolean): RoomcastError {
  if (received) return new RoomcastError("FailedOperation.SourceLost", `${where} ended the SRT connection.`);
  const said = exit.stderrTail.join("\n");
  if (/Connection to .* failed/.test(said)) {
    return new RoomcastError(
      "FailedOperation.SourceUnreachable",
      `${where} took no SRT call: does it listen, and are streamid and passphrase those that it expects?`,
    );
  }
  if (/not on whitelist/i.test(said)) {
    return new RoomcastError("FailedOperation.SourceUnsupported", `${where} sends no MPEG-TS over SRT.`);
  }
  return classifyUnopened(exit);
}
