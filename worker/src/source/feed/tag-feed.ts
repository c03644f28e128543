import type { SourceEnd } from "../source.ts";
import type { FedTag } from "./fed-tag.ts";

/** What a stream says of its tracks before their media come; undefined fields are not known. */
export interface Announcement {
  readonly video?: { readonly width?: number; readonly height?: number; readonly fps?: number } | undefined;
  readonly audio?: boolean | undefined;
  /** Sentences about the choice of tracks that the plan is to carry. */
  readonly reasons?: readonly string[] | undefined;
}

/** Takes what a feed gives. */
export interface TagTaker {
  /** Tracks that are to come; a feed that knows nothing of them says nothing. */
  announce(announcement: Announcement): void;
  /** Media and headers, in DTS order per track and nearly so between tracks; the clock may jump. */
  take(tag: FedTag): void;
  /** What follows of this track need not continue on the clock of what came before. */
  jump(kind: "audio" | "video"): void;
  /** Once, last. */
  end(end: SourceEnd): void;
}

/** Where tags come from: an RTMP connection, the segments of a playlist, the bytes of a file that is read forwards. */
export interface TagFeed {
  /**
   * Begins to give tags, and goes on until `end` or `close`.
   *
   * @throws RoomcastError `FailedOperation.Source…` why it could not begin
   */
  start(taker: TagTaker): Promise<void>;
  /** Holds the other side back; tags that are on their way may still come. */
  pause(): void;
  resume(): void;
  /** Idempotent; resolves when everything that it owns has ended. Nothing is given afterwards. */
  close(): Promise<void>;
}
