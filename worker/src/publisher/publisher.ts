import type { RoomcastError } from "@roomcast/shared";

/** One message for the room; the payload is an FLV tag body. */
export interface OutgoingMedia {
  readonly kind: "audio" | "video";
  /** Integer ms on the session's output clock, never decreasing within a kind. The value may exceed 2^32. */
  readonly timestampMs: number;
  readonly payload: Buffer;
}

/** The description of the stream, which is sent at its beginning (RTMP: onMetaData). */
export interface StreamMetadata {
  readonly width: number;
  readonly height: number;
  readonly fps: number | null;
}

/** Sends media to one seat of a room over one connection. */
export interface Publisher {
  /**
   * Connects and starts publishing. If this fails, the connection is closed.
   *
   * @param mayPublish is awaited right before the seat is taken, when everything else has been done
   * @throws RoomcastError `FailedOperation.RoomUnreachable` (retryable) or `FailedOperation.RoomRefused`.
   */
  start(mayPublish: () => Promise<void>): Promise<void>;
  sendMetadata(metadata: StreamMetadata): void;
  /** Queues media and never blocks; the caller must watch `queuedBytes`. Does nothing after the connection has ended. */
  send(media: OutgoingMedia): void;
  /** Bytes that `send` has accepted but that the network has not accepted yet. */
  readonly queuedBytes: number;
  /** Bytes that the network has accepted since the start. */
  readonly sentBytes: number;
  /**
   * Called once if the connection ends without `stop()`: `FailedOperation.RoomLost` (retryable),
   * `FailedOperation.RoomReplaced` (another publisher took the seat) or `FailedOperation.RoomRefused`.
   */
  onEnded: ((error: RoomcastError) => void) | undefined;
  /** Leaves the room (RTMP: FCUnpublish, deleteStream) and closes the connection. Can be called more than once. */
  stop(): Promise<void>;
}
