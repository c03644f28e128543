import type { SourceEnd } from "../source.ts";
import type { FedTag } from "./fed-tag.ts";

/** The announcement of a stream's tracks before their media; undefined fields are unknown. */
export interface Announcement {
  readonly video?: { readonly width?: number; readonly height?: number; readonly fps?: number } | undefined;
  readonly audio?: boolean | undefined;
  /** Reasons for the plan about the choice of tracks. */
  readonly reasons?: readonly string[] | undefined;
}

/** The receiver of a feed. */
export interface TagTaker {
  /** Announces the tracks. A feed without this knowledge does not call it. */
  announce(announcement: Announcement): void;
  /** Media and headers, in DTS order per track and nearly so between tracks; the clock may jump. */
  take(tag: FedTag): void;
  /** Announces that the clock of this track may jump here. */
  jump(kind: "audio" | "video"): void;
  /** Called once, as the last call. */
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
  /** Holds the other side back. Tags that were already sent may still come. */
  pause(): void;
  resume(): void;
  /** Idempotent; resolves when everything that it owns has ended. No tags are given afterwards. */
  close(): Promise<void>;
}
