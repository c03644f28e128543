import type { SourceEnd } from "../source.ts";
import type { FedTag } from "./fed-tag.ts";

/** The announcement of a stream's tracks before their media; undefined fields are unknown. */
export interface Announcement {
  readonly video?: { readonly width?: number; readonly height?: number; readonly fps?: number } | undefined;
  readonly audio?: boolean | undefined;
  /** Sentences for the plan that explain the choice of tracks. */
  readonly reasons?: readonly string[] | undefined;
}

/** The receiver of a feed. */
export interface TagTaker {
  /** Announces the tracks. A feed without this knowledge does not call it. */
  announce(announcement: Announcement): void;
  /** Takes media and headers. They come in DTS order per track and nearly so between tracks. The clock may jump. */
  take(tag: FedTag): void;
  /** Announces that the clock of this track may jump here. */
  jump(kind: "audio" | "video"): void;
  /** Takes the end of the feed. This is called once, after all other calls. */
  end(end: SourceEnd): void;
}

/** A producer of tags: an RTMP connection, the segments of a playlist, or the bytes of a file. */
export interface TagFeed {
  /**
   * Starts to give tags and continues until `end` or `close`.
   *
   * @throws RoomcastError `FailedOperation.Source…` if it cannot start
   */
  start(taker: TagTaker): Promise<void>;
  /** Asks the sender to pause. Tags that were already sent may still come. */
  pause(): void;
  resume(): void;
  /**
   * Closes the feed; resolves when everything that the feed owns has ended. No tags are given afterwards. Idempotent.
   */
  close(): Promise<void>;
}
