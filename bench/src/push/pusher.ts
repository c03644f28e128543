/** One way of pushing a clip into rooms; the suites run each way in turn, in one run. */
export interface Pusher {
  readonly name: string;
  /** The processes whose cost counts, with all their children. Those that push may come later. */
  pids(): readonly number[];
  /** Starts pushing the clip into a string room; returns at once or when the call is answered. */
  start(push: { readonly clipUrl: string; readonly room: string }): Promise<void>;
  /** Ends all pushes; resolves when nothing of them runs any more. */
  stopAll(): Promise<void>;
}
