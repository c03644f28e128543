/** An event of a task's room, as the task is told of it. */
export interface RoomWord {
  readonly kind: "created" | "dismissed" | "entered" | "left" | "videoStarted" | "videoStopped";
  /** Whether it is about the task's own user. */
  readonly own: boolean;
  readonly removed: boolean;
  /** By TRTC's clock. */
  readonly atMs: number;
  readonly others: number;
}
