/** How a push that is turned away hears of it; TRTC's documents do not say. */
export const REFUSAL_WAYS = ["status", "command", "bare", "silent"] as const;
export type RefusalWay = (typeof REFUSAL_WAYS)[number];

/** What pushes are held to, as TRTC's documents have it. */
export interface RoomRules {
  /** Larger RTMP chunks are refused; null: none are. */
  readonly maxChunkBytes: number | null;
  /** How long after its first B-frame a push is cut off, ms; null: it is not. */
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
