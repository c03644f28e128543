import { RoomcastError } from "@roomcast/shared";
import type { Demuxer, DemuxerOptions } from "../demux/demuxer.ts";
import { type ContainerFormat, detectContainer } from "../demux/detect-container.ts";
import { Fmp4Demuxer } from "../demux/fmp4/fmp4-demuxer.ts";
import { TsDemuxer } from "../demux/mpegts/ts-demuxer.ts";
import { PackedAudioDemuxer } from "../demux/packed-audio/packed-audio-demuxer.ts";

/** The number of bytes that is enough to detect every container. */
const ENOUGH_BYTES = 4096;

export interface ContainerDemuxerOptions extends DemuxerOptions {
  /** The name of the bytes in error texts, such as "Segment 12 of the HLS playlist". */
  readonly what: () => string;
}

/** Demuxes bytes and detects their container by their beginning, never by their name. */
export class ContainerDemuxer implements Demuxer {
  readonly #options: ContainerDemuxerOptions;
  #inner: { readonly format: ContainerFormat; readonly demuxer: Demuxer } | undefined;
  /** The beginning of a part, until its container is known. */
  #head: Buffer[] = [];
  #headBytes = 0;
  #begins = true;

  constructor(options: ContainerDemuxerOptions) {
    this.#options = options;
  }

  /** Announces that the next bytes are a new part, perhaps in another container. */
  beginPart(): void {
    this.flush();
    this.#begins = true;
  }

  /** @throws RoomcastError if the bytes are not media; DemuxError if they are damaged */
  push(chunk: Buffer): void {
    if (!this.#begins) {
      this.#inner?.demuxer.push(chunk);
      return;
    }
    this.#head.push(chunk);
    this.#headBytes += chunk.length;
    if (this.#headBytes >= ENOUGH_BYTES) this.#begin();
  }

  get isCut(): boolean {
    return this.#inner?.demuxer.isCut === true;
  }

  flush(): void {
    if (this.#begins && this.#headBytes > 0) this.#begin();
    this.#inner?.demuxer.flush();
  }

  #begin(): void {
    const [first = Buffer.alloc(0)] = this.#head;
    const head = this.#head.length === 1 ? first : Buffer.concat(this.#head);
    this.#head = [];
    this.#headBytes = 0;
    this.#begins = false;
    const format = detectContainer(head);
    // A part of a stream may begin with bytes that its demuxer skips.
    if (this.#inner?.format !== format) {
      const demuxer = this.#demuxerFor(format);
      if (demuxer === null && this.#inner === undefined) throw notMedia(this.#options.what(), format);
      if (demuxer !== null) this.#inner = { format, demuxer };
    }
    this.#inner?.demuxer.push(head);
  }

  #demuxerFor(format: ContainerFormat): Demuxer | null {
    switch (format) {
      case "mpegts":
        return new TsDemuxer(this.#options);
      case "fmp4":
      case "mp4":
        return new Fmp4Demuxer(this.#options);
      case "adts":
      case "mp3":
      case "ac3":
      case "id3":
        return new PackedAudioDemuxer(this.#options);
      default:
        return null;
    }
  }
}

function notMedia(what: string, format: ContainerFormat): RoomcastError {
  const text =
    format === "html"
      ? `${what} is a web page or an error text, not media.`
      : `${what} is neither MPEG-TS nor fragmented MP4 nor AAC or MP3.`;
  return new RoomcastError("FailedOperation.SourceNotMedia", text);
}
