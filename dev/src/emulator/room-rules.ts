/** The form in which a refused push is answered. TRTC's documents do not define it. */
export const REFUSAL_WAYS = ["status", "command", "bare", "silent"] as const;
export type RefusalWay = (typeof REFUSAL_WAYS)[number];

/** The rules for pushes, by default as in TRTC's documents. */
export interface RoomRules {
  /** Larger RTMP chunks are refused. Null if all sizes are allowed. */
  readonly maxChunkBytes: number | null;
  /** The time after its first B-frame at which a push is cut off, ms. Null if it is not cut off. */
  readonly bFramesEndAfterMs: number | null;
  readonly refusesHevc: boolean;
  /** A UserId is one user in all rooms of its application: who enters another room leaves the first. */
  readonly userIdPerApp: boolean;
  /** Applications that demand a private_map_key. */
  readonly mapKeyApps: readonly number[];
  /**
   * `status`: onStatus with a code; `command`: `_error` with a code as the answer to publish; `bare`: `_error` with words
   * and no code; `silent`: the connection is closed.
   */
  readonly refusals: RefusalWay;
}

export const DOCUMENTED_RULES: RoomRules = {
  maxChunkBytes: 4096,
  bFramesEndAfterMs: 1000,
  refusesHevc: true,
  userIdPerApp: true,
  mapKeyApps: [],
  refusals: "status",
};
