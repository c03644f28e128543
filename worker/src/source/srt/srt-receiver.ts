import { Readable } from "node:stream";
import { RoomcastError } from "@roomcast/shared";
import { classifyUnopened } from "../ffmpeg/failure.ts";
import { type FfmpegExit, FfmpegProcess } from "../ffmpeg/ffmpeg-process.ts";

/**
 * The most bytes that are buffered before the stream is played: some seconds at the highest rates. At this limit the
 * server is held back.
 */
const MAX_PREROLL_BYTES = 16 * 1024 * 1024;
/** The most bytes that are buffered for a slow player before the server is held back. */
const FEED_BYTES = 512 * 1024;
/** Options in front of the playlist on stdin. */
const INPUT_OPTIONS = [
  ["-hide_banner", "-nostats", "-loglevel", "warning"],
  ["-protocol_whitelist", "pipe,srt", "-format_whitelist", "concat,mpegts"],
  ["-f", "concat", "-safe", "0"],
].flat();
/** Options of the output. A track waits at most 0.3 s for another track that has stopped (given in µs). */
const OUTPUT_OPTIONS =
  "-map 0:v? -map 0:a? -c copy -max_interleave_delta 300000 -muxdelay 0 -flush_packets 1 -f mpegts".split(" ");

export interface SrtReceiverOptions {
  /** The result of `srtPlaylist`. It is only passed through a pipe. */
  readonly playlist: string;
  /** Host and port as the user gave them, for error texts. */
  readonly where: string;
}

/**
 * One call to an SRT server by an ffmpeg that passes the MPEG-TS on unchanged. Probing and playing use the same call,
 * because many servers (encoders that listen) accept only one.
 */
export class SrtReceiver {
  /** The whole stream from its first byte. Destroy `probing` before reading it. */
  readonly stream: Readable;
  /** A copy of the beginning of the stream, for probing. */
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

  /** The error that ended the call; undefined while it runs. */
  get failure(): RoomcastError | undefined {
    return this.#failure;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Ends the call. Idempotent; resolves when the process has ended. */
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

/** Returns the error for the end of a call. SRT does not tell a caller why it was refused. Pure. */
export function srtFailure(exit: FfmpegExit, where: string, received: boolean): RoomcastError {
  if (received) return new RoomcastError("FailedOperation.SourceLost", `${where} ended the SRT connection.`);
  const said = exit.stderrTail.join("\n");
  if (/Connection to .* failed/.test(said)) {
    return new RoomcastError(
      "FailedOperation.SourceUnreachable",
      `${where} accepted no SRT connection: check that it listens and that streamid and passphrase are correct.`,
    );
  }
  if (/not on whitelist/i.test(said)) {
    return new RoomcastError(
      "FailedOperation.SourceUnsupported",
      `${where} does not send MPEG-TS over SRT: set its output to MPEG-TS.`,
    );
  }
  return classifyUnopened(exit);
}
