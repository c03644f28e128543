/** A way of pushing streams: one user, and one room for each stream. */
export const BENCH_USER_ID = "bench";

/** One clip into one string room. */
export interface Push {
  readonly clipUrl: string;
  readonly room: string;
}

/** One way of pushing a clip into rooms; the suites run each way in turn, in one run. */
export interface Pusher {
  readonly name: string;
  /** The processes that are measured, with all their children. Children that push may start later. */
  pids(): readonly number[];
  /** Starts a push; returns at once or when the call is answered. */
  start(push: Push): Promise<void>;
  /** Ends all pushes and resolves when none of their processes runs any longer. */
  stopAll(): Promise<void>;
}
