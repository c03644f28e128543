/** The most old media that the server of a live stream sends first, so that a player can begin at once, ms. */
const LONGEST_BURST_MS = 30_000;
/**
 * The time after which a stream may be judged, ms. Before it, a live stream still sends its first burst of old media.
 */
const SHORTEST_LOOK_MS = 1500;
/** The time after which a stream that still arrives too fast is a recording, ms. */
const LONGEST_LOOK_MS = 4000;
/** The length of the window over which the rate of arrival is measured, ms. */
const WINDOW_MS = 1000;
/** The highest rate of a live stream, in seconds of media per second. Faster media were recorded before. */
const FASTEST_LIVE = 2;

interface Arrived {
  readonly elapsedMs: number;
  readonly mediaMs: number;
}

/**
 * Tells a recording from a live stream by how fast its media arrive. It does not read a clock: the time is an argument.
 */
export class ArrivalPace {
  /** The measurements of the window, preceded by the last one before it. */
  #window: Arrived[] = [];

  /** @param arrived the time that has passed and the media that have come since the stream began */
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
