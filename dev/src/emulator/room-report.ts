import type { Seat } from "@roomcast/shared";

/**
 * The emulator's report of a room, over `GET /rooms`, `GET /rooms/:room` and `RoomEmulator.rooms()`. Times named
 * `…AtMs` are Unix ms on the emulator's clock; timestamps are those of the RTMP messages, in ms, unwrapped past 2^32.
 * null means that it was not seen.
 */
export interface RoomReport {
  readonly sdkAppId: number;
  /** The integer room 42 and the string room "42" are two rooms. */
  readonly kind: "number" | "string";
  readonly id: string;
  /** Everybody who has published here, the latest comer first; also those who left. */
  readonly users: readonly UserReport[];
}

export interface UserReport {
  readonly userId: string;
  /** Publishing now. */
  readonly online: boolean;
  /** The number of publishes on this seat. */
  readonly publishes: number;
  /** The number of times that a publisher lost the seat to a newer one. */
  readonly replacements: number;
  /** The number of publishes for this seat that were refused for any reason. */
  readonly refusals: number;
  /**
   * The longest that people in the room waited for a next picture, over all sessions, ms of wall clock: within
   * sessions and from the last picture of one to the first of the next.
   */
  readonly longestPictureWaitMs: number;
  /** The oldest first; only the newest 50 are kept. */
  readonly sessions: readonly SessionReport[];
}

/** The reason why a publisher left the room. */
export type SessionEndReason =
  /** It said so: FCUnpublish, deleteStream or closeStream. */
  | "left"
  /** Its connection ended without a word. */
  | "disconnected"
  | "replaced"
  | "kicked"
  /** A fault switch dropped it. */
  | "dropped"
  /** It sent bytes that are no RTMP. */
  | "malformed"
  /** It sent nothing for too long. */
  | "silent"
  /** It has B-frames, of a codec that rooms do not take, or in chunks that are too large. */
  | "b-frames"
  | "unsupported-codec"
  | "chunk-size"
  | "emulator-stopped";

/** One publish: from the accepted `publish` to its end. */
export interface SessionReport {
  /** Counts the publishes of the seat, from 1. */
  readonly number: number;
  readonly remoteAddress: string;
  /** The time of the TCP connection. */
  readonly connectedAtMs: number;
  /** The time at which `publish` was accepted. */
  readonly publishedAtMs: number;
  readonly endedAtMs: number | null;
  readonly endReason: SessionEndReason | null;
  readonly stream: StreamReport;
}

/** The stream that one publisher sent. */
export interface StreamReport {
  readonly video: VideoReport | null;
  readonly audio: AudioReport | null;
  /** The fields of onMetaData that are numbers, texts or truth values. */
  readonly metadata: Readonly<Record<string, number | string | boolean>> | null;
  /** Payload bytes of all tags. */
  readonly bytes: number;
  /** Over the last whole second or more. */
  readonly bitRateKbps: number;
  /** Over the whole session, by wall clock from the first tag to the last. */
  readonly averageBitRateKbps: number;
  /** Last audio timestamp minus last video timestamp. */
  readonly avSkewMs: number | null;
  /** The largest absolute value of `avSkewMs` at the arrival of any tag, once both had come. */
  readonly largestAvSkewMs: number | null;
}

export interface TrackReport {
  /** FLV's name of it: `h264`, `aac`, a FourCC such as `hvc1`, or `codec-<number>`. */
  readonly codec: string;
  /** Tags with media; sequence headers are not counted. */
  readonly tags: number;
  readonly bytes: number;
  readonly sequenceHeaders: number;
  readonly firstTagAtMs: number | null;
  readonly lastTagAtMs: number | null;
  readonly firstTimestampMs: number | null;
  readonly lastTimestampMs: number | null;
  /** Largest step between the timestamps of two neighbouring tags. */
  readonly largestGapMs: number;
  /** Largest wall-clock time between the arrivals of two neighbouring tags. */
  readonly largestArrivalGapMs: number;
  /** The number of timestamps that were lower than the one before. */
  readonly timestampsBack: number;
}

export interface VideoReport extends TrackReport {
  /** From the newest sequence header; null where there was none that could be read. */
  readonly width: number | null;
  readonly height: number | null;
  /** Frames by the time between first and last timestamp. */
  readonly fps: number | null;
  readonly keyframes: number;
  readonly firstKeyframeAtMs: number | null;
  /**
   * Frames with a composition time other than 0. Where there are B-frames, nearly all frames have one, because the
   * others are shown later than they are decoded; without B-frames none has.
   */
  readonly bFrames: number;
  /** Frames that are shown before one that came earlier: B-frames, whatever the composition times are. */
  readonly reorderedFrames: number;
  /** The longest run from one keyframe to the next, ms of timestamps and in frames; null before the second keyframe. */
  readonly longestGopMs: number | null;
  readonly longestGopFrames: number | null;
  /** The number of sequence headers with another size than the one before. */
  readonly resolutionChanges: number;
}

export interface AudioReport extends TrackReport {
  readonly sampleRateHz: number | null;
  readonly channels: number | null;
}

/** Answer of `GET /rooms`. */
export interface RoomListReport {
  /** So that nobody takes it for the real thing. */
  readonly emulator: true;
  readonly rooms: readonly RoomReport[];
  /** The newest refusals, the oldest first; at most 100. */
  readonly refusals: readonly RefusalReport[];
}

/** A connection that was not let in. */
export interface RefusalReport {
  readonly atMs: number;
  /** The seat that was asked for, if it could be read. */
  readonly seat: Seat | null;
  readonly code: string;
  readonly description: string;
}
