/** Servers of live streams send at most so much old media first, so that a player can begin at once, ms. */
const LONGEST_BURST_MS = 30_000;
/** A stream is not judged before this time, because a live one begins with its burst, ms. */
const SHORTEST_LOOK_MS = 1500;
/** A stream that has arrived too fast for so long is a recording, ms. */
const LONGEST_LOOK_MS = 4000;
/** The arrival is measured over this time, ms. */
const WINDOW_MS = 1000;
/** Media that arrive faster than this, in seconds of media per second, do not come as they happen. */
const FASTEST_LIVE = 2;

interface Arrived {
  readonly elapsedMs: number;
  readonly mediaMs: number;
}

/** Tells a recording from a live stream by how fast its media arrive. Time comes in as an argument. */
export class ArrivalPace {
  /** From the last one before the window on. */
  #window: Arrived[] = [];

  /** @param arrived since the stream began */
  judge(arrived: Arrived): "recording" | "live" | "undecided" {
    const { elapsedMs, mediaMs } = arrived;
    if (mediaMs - elapsedMs > LONGEST_BURST_MS) return "recording";
    this.#window.push(arrived);
    const from = this.#window.findLastIndex((earlier) => earlier.elapsedMs <= elapsedMs - WINDOW_MS);
    if (from > 0) this.#window = this.#window.slice(from);
    if (elapsedMs < SHORTEST_LOOK_MS) return "undecided";
    const [before = arrived] = this.#window;
    const rate = (mediaMs - before.mediaMs) / Math.max(1, elapsedMs - before.elapsedMs);
    if (rate <= FASTEST_LIVE) return "live";
    return elapsedMs >= LONGEST_LOOK_MS ? "recording" : "undecided";
  }
}
