import type { RoomcastError } from "@roomcast/shared";

/** One message for the room; the payload is an FLV tag body. */
export interface OutgoingMedia {
  readonly kind: "audio" | "video";
  /** On the session's output clock, ms, integer, never falling within a kind. May pass 2^32. */
  readonly timestampMs: number;
  readonly payload: Buffer;
}

/** What the room is told about the stream when it begins (RTMP: onMetaData). */
export interface StreamMetadata {
  readonly width: number;
  readonly height: number;
  readonly fps: number | null;
}

/** Puts media into a room: one seat, one connection. */
export interface Publisher {
  /**
   * Connects and is allowed to publish. All or nothing.
   *
   * @param mayPublish is waited for right before the seat is taken, when all else is done
   * @throws RoomcastError `FailedOperation.RoomUnreachable` (retryable) or `FailedOperation.RoomRefused`.
   */
  start(mayPublish: () => Promise<void>): Promise<void>;
  sendMetadata(metadata: StreamMetadata): void;
  /** Never blocks; watch `queuedBytes`. After the end it does nothing. */
  send(media: OutgoingMedia): void;
  /** Bytes accepted by `send` that the network has not taken yet. */
  readonly queuedBytes: number;
  /** Bytes the network has taken since the start. */
  readonly sentBytes: number;
  /**
   * Called once if the connection ends without `stop()`: `FailedOperation.RoomLost` (retryable),
   * `FailedOperation.RoomReplaced` (another publisher took the seat) or `FailedOperation.RoomRefused`.
   */
  onEnded: ((error: RoomcastError) => void) | undefined;
  /** Leaves the room (RTMP: FCUnpublish, deleteStream) and closes; idempotent. */
  stop(): Promise<void>;
}
