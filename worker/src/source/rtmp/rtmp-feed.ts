import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { type AmfObject, amfEntries, decodeAmf0 } from "../../rtmp/amf0.ts";
import type { Dial } from "../../rtmp/dial-rtmp.ts";
import { RtmpProtocolError } from "../../rtmp/rtmp-protocol-error.ts";
import { fedTag } from "../feed/fed-tag.ts";
import type { Announcement, TagFeed, TagTaker } from "../feed/tag-feed.ts";
import { RtmpPuller } from "./rtmp-puller.ts";

export interface RtmpFeedOptions {
  /** `rtmp(s)://host[:port]/app/stream?query`; it stays inside this process. */
  readonly url: string;
  readonly connect: Dial;
  readonly silenceTimeoutMs?: number | undefined;
}

/** Gives the tags of a stream that an RTMP server plays. */
export class RtmpFeed implements TagFeed {
  readonly #puller: RtmpPuller;
  #taker: TagTaker | undefined;

  /** @throws RoomcastError `InvalidParameterValue` if the URL is not an RTMP address */
  constructor({ url, connect, silenceTimeoutMs }: RtmpFeedOptions) {
    this.#puller = new RtmpPuller({
      url,
      connect,
      onTag: (tag) => this.#take(tag),
      onEnd: (end) => this.#taker?.end(end),
      ...(silenceTimeoutMs === undefined ? {} : { silenceTimeoutMs }),
    });
  }

  /** The server, app and stream without secrets, for error texts. */
  get shown(): string {
    return this.#puller.shown;
  }

  start(taker: TagTaker): Promise<void> {
    this.#taker = taker;
    return this.#puller.start();
  }

  pause(): void {
    this.#puller.pause();
  }

  resume(): void {
    this.#puller.resume();
  }

  close(): Promise<void> {
    this.#taker = undefined;
    return this.#puller.stop();
  }

  #take({ kind, timestampMs, payload }: FlvTag): void {
    if (kind === "data") {
      const metadata = metadataOf(payload);
      if (metadata !== null) this.#taker?.announce(announcementIn(metadata));
      return;
    }
    const tag = fedTag(kind, timestampMs, payload);
    if (tag !== null) this.#taker?.take(tag);
  }
}

/** Returns the values of an `onMetaData` message, wrapped in `@setDataFrame` or not; null if it cannot be read. */
function metadataOf(payload: Buffer): AmfObject | null {
  try {
    for (const value of decodeAmf0(payload)) {
      const entries = amfEntries(value);
      if (entries !== null) return entries;
    }
  } catch (error) {
    if (!(error instanceof RtmpProtocolError)) throw error;
  }
  return null;
}

function announcementIn(metadata: AmfObject): Announcement {
  const { width, height, framerate } = metadata;
  const size = { width: number(width), height: number(height), fps: number(framerate) };
  return {
    ...(metadata["videocodecid"] === undefined ? {} : { video: given(size) }),
    ...(metadata["audiocodecid"] === undefined ? {} : { audio: true }),
  };
}

function number(value: AmfObject[string]): number | undefined {
  return typeof value === "number" && value > 0 ? value : undefined;
}

function given<T extends object>(values: T): { [Key in keyof T]?: NonNullable<T[Key]> } {
  // SAFETY: exactly the undefined entries are left out.
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: NonNullable<T[Key]>;
  };
}
