import { RoomcastError, shownUrl } from "@roomcast/shared";
import type { Logger } from "pino";
import { ForbiddenAddressError } from "../../egress/egress.ts";
import { FeedPosition, type LiveFloor } from "./feed-position.ts";
import type { HlsSegment, HlsTrack } from "./hls-segment.ts";
import type { HlsTimer } from "./hls-timer.ts";
import { segmentLengthMs } from "./live-edge.ts";
import type { PlaylistSegment, SegmentMap } from "./media-playlist.ts";
import { PlaylistFollower, type RenditionSource, stoppedError } from "./playlist-follower.ts";
import { alignedBaseMs, type PlaylistWindow } from "./playlist-window.ts";
import { retryDelayMs } from "./retry-delay.ts";
import type { LoadedSegment, SegmentLoader } from "./segment-loader.ts";

/** The most missing segments in a row that are left out. More of them end the source. */
const MAX_MISSING = 3;
/** The number of times that a segment is requested before later segments are tried instead. */
const TRIES_BEFORE_NEXT = 3;
/**
 * The longest time for which the first segment is sought, ms. It is shorter than the time-out of opening a source, so
 * that the error names the cause.
 */
const FIRST_PATIENCE_MS = 10_000;
const PACE = { firstMs: 300, maxMs: 4000 };

export interface RenditionFeedOptions {
  readonly track: HlsTrack;
  readonly source: RenditionSource;
  readonly baseMs: number;
  readonly loader: SegmentLoader;
  readonly clock: HlsTimer;
  readonly logger: Logger;
  /** True to begin near the newest segment and stay there, false to play everything from `fromMs` on. */
  readonly live: boolean;
  readonly fromMs: number;
  readonly patienceMs: number;
  readonly floor: LiveFloor;
  readonly signal: AbortSignal;
  /**
   * Called before each segment. It returns another variant to play from that segment on, or null to keep the present
   * variant.
   */
  readonly nextSource?: (() => Promise<RenditionSource | null>) | undefined;
  /** Called if the present variant cannot be read any further. It returns another variant, or null if there is none. */
  readonly replacement?: (() => Promise<RenditionSource | null>) | undefined;
  /**
   * Called with the time spent waiting for the network, ms, the bytes that arrived, and the duration of their media,
   * ms.
   */
  readonly onTransferred?: ((waitedMs: number, bytes: number, mediaMs: number) => void) | undefined;
}

interface Opened {
  /**
   * The segment's start on the clock that all renditions share, ms, according to the playlist at the time of the
   * request.
   */
  readonly startMs: number;
  readonly segment: PlaylistSegment;
  readonly loaded: LoadedSegment;
  readonly abort: AbortController;
}

/** Gives the segments of one rendition in order, each once, and waits for new segments of a live playlist. */
export class RenditionFeed {
  readonly #options: RenditionFeedOptions;
  readonly #clock: HlsTimer;
  readonly #logger: Logger;
  #follower: PlaylistFollower;
  readonly #position: FeedPosition;
  #hasGiven = false;
  #lastMap: SegmentMap | null | undefined;
  /** The time at which the wait for the next segment began, ms. */
  #seekingSinceMs = 0;

  constructor(options: RenditionFeedOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#follower = new PlaylistFollower(options);
    this.#position = new FeedPosition(options);
  }

  get #window(): PlaylistWindow {
    return this.#follower.window;
  }

  async *segments(): AsyncGenerator<HlsSegment, void, undefined> {
    const unread = new Set<AbortController>();
    try {
      for (;;) {
        const wanted = (await this.#options.nextSource?.()) ?? null;
        if (wanted !== null) this.#switchTo(wanted);
        const opened = await this.#nextOpened();
        if (opened === null) return;
        unread.add(opened.abort);
        yield this.#present(opened, () => unread.delete(opened.abort));
      }
    } finally {
      // Segments that the reader took but never opened still hold their connections.
      for (const abort of unread) abort.abort();
      await this.#follower.settled();
    }
  }

  /** Opens the next segment, from another variant if the present one fails. Returns null at the end of the playlist. */
  async #nextOpened(): Promise<Opened | null> {
    this.#seekingSinceMs = this.#clock.nowMs();
    for (;;) {
      try {
        if (!(await this.#waitForNext())) return null;
        const opened = await this.#openNext();
        if (opened !== undefined) return opened;
      } catch (error) {
        this.#options.signal.throwIfAborted();
        if (!(await this.#replace())) throw error;
      }
    }
  }

  async #replace(): Promise<boolean> {
    const source = (await this.#options.replacement?.()) ?? null;
    if (source === null) return false;
    this.#switchTo(source);
    this.#seekingSinceMs = this.#clock.nowMs();
    return true;
  }

  #present(opened: Opened, onOpen: () => void): HlsSegment {
    const { segment, startMs, loaded, abort } = opened;
    const breaks = this.#position.passed(segment);
    const discontinuity = breaks || segment.discontinuity || !sameMap(this.#lastMap, segment.map);
    this.#hasGiven = true;
    this.#lastMap = segment.map;
    return {
      track: this.#options.track,
      sequence: segment.sequence,
      startMs,
      durationMs: segment.durationMs,
      discontinuity,
      programDateTimeMs: segment.programDateTimeMs,
      init: loaded.init,
      url: shownUrl(loaded.url),
      range: segment.range,
      open(signal) {
        onOpen();
        return abortable(loaded.body, signal, abort);
      },
    };
  }

  /** Waits until the playlist has the next segment. Returns false at the end of the playlist. */
  async #waitForNext(): Promise<boolean> {
    const { signal, patienceMs } = this.#options;
    let mayReplace = true;
    for (;;) {
      signal.throwIfAborted();
      await this.#follower.refresh(this.#position.next(this.#window) === undefined);
      this.#position.settle(this.#window);
      if (this.#position.next(this.#window) !== undefined) return true;
      if (this.#window.playlist.complete) return false;
      const waitedMs = this.#clock.nowMs() - this.#seekingSinceMs;
      if (waitedMs >= patienceMs) throw stoppedError(waitedMs, this.#follower.error);
      if (mayReplace && waitedMs >= patienceMs / 2) {
        mayReplace = false;
        await this.#replace();
      }
      const { dueInMs } = this.#follower;
      if (dueInMs > 0) await this.#clock.sleep(Math.min(dueInMs, patienceMs - waitedMs), signal);
    }
  }

  /** Continues with another variant at the beginning of the next segment. */
  #switchTo(source: RenditionSource): void {
    const old = this.#window;
    this.#follower = new PlaylistFollower({ ...this.#options, source, baseMs: alignedBaseMs(source.playlist, old) });
    this.#position.moveTo(this.#window, old);
  }

  /**
   * Opens the next segment. A missing segment is requested again, and left out if a later one can be opened. If the
   * source cannot be reached, the method waits.
   *
   * @returns undefined if the playlist must be examined again
   */
  async #openNext(): Promise<Opened | undefined> {
    const { signal, patienceMs } = this.#options;
    const sinceMs = this.#clock.nowMs();
    for (let round = 1; ; round += 1) {
      signal.throwIfAborted();
      const first = this.#position.next(this.#window);
      // If the segment has left the playlist, another one must be chosen.
      if (first === undefined) return undefined;
      if (first.gap) {
        this.#position.leaveOut(first);
        return undefined;
      }
      const waitedMs = this.#clock.nowMs() - sinceMs;
      const { complete } = this.#window.playlist;
      // In a growing playlist the segment may be late, so it is left out only after the length of one segment.
      const mayBeLeftOut =
        round >= TRIES_BEFORE_NEXT && (complete || waitedMs >= segmentLengthMs(this.#window.playlist));
      const candidates = mayBeLeftOut ? this.#from(first) : [first];
      const failures: RoomcastError[] = [];
      for (const candidate of candidates) {
        const result = await this.#tryOpen(candidate);
        if (!(result instanceof RoomcastError)) {
          if (candidate !== first) this.#leaveOut(first, candidate, failures[0]);
          return result;
        }
        failures.push(result);
      }
      const mayPass = failures.some(({ retryable }) => retryable) || (!complete && !failures.every(isFinal));
      const soughtMs = this.#clock.nowMs() - this.#seekingSinceMs;
      const [failure] = failures;
      if (!this.#hasGiven && failure?.retryable === true && soughtMs >= FIRST_PATIENCE_MS)
        throw unreadError(failure.code, first, failures);
      if (soughtMs >= patienceMs) throw lostError(first, failures);
      if (mayBeLeftOut && !mayPass) {
        const isAll = !this.#hasGiven || failures.every(isFinal);
        // If nothing of the source could ever be read, it was not lost but does not exist.
        if (!this.#hasGiven && failures.every(isNotFound))
          throw unreadError("FailedOperation.SourceNotFound", first, failures);
        if (isAll || failures.length > MAX_MISSING) throw lostError(first, failures);
        // If the missing segments are the last ones of the playlist, all of them are left out.
        this.#leaveOut(first, undefined, failures[0]);
        return undefined;
      }
      await this.#clock.sleep(retryDelayMs(failures[0], round, PACE), signal);
      await this.#follower.refresh(false);
      if (!complete) this.#position.settle(this.#window);
    }
  }

  /** Returns the segment and the later ones that may be played instead. */
  #from(first: PlaylistSegment): PlaylistSegment[] {
    const found: PlaylistSegment[] = [];
    for (let sequence = first.sequence; found.length <= MAX_MISSING; sequence += 1) {
      const segment = this.#window.bySequence(sequence);
      if (segment === undefined) break;
      if (!segment.gap) found.push(segment);
    }
    return found;
  }

  #leaveOut(first: PlaylistSegment, next: PlaylistSegment | undefined, failure: RoomcastError | undefined): void {
    this.#logger.warn(
      { track: this.#options.track, segment: first.sequence, next: next?.sequence, err: failure },
      "A segment could not be read and is left out.",
    );
    this.#position.leaveOut(next === undefined ? (this.#window.last ?? first) : first);
  }

  async #tryOpen(segment: PlaylistSegment): Promise<Opened | RoomcastError> {
    const { signal, loader, onTransferred, patienceMs, live } = this.#options;
    const abort = new AbortController();
    const startMs = this.#window.startMsOf(segment);
    try {
      const loaded = await loader.load({
        segment,
        baseUrl: this.#window.playlist.url,
        signal: AbortSignal.any([signal, abort.signal]),
        patienceMs: live ? 2 * segmentLengthMs(this.#window.playlist) : patienceMs,
        mayCut: live,
        onTransferred: (waitedMs, bytes) => onTransferred?.(waitedMs, bytes, segment.durationMs),
      });
      return { segment, startMs, loaded, abort };
    } catch (error) {
      signal.throwIfAborted();
      return RoomcastError.from(error);
    }
  }
}

function sameMap(a: SegmentMap | null | undefined, b: SegmentMap | null): boolean {
  if (a === undefined || a === b) return true;
  if (a === null || b === null) return false;
  return a.uri === b.uri && a.range?.start === b.range?.start && a.range?.end === b.range?.end;
}

function isFinal(error: RoomcastError): boolean {
  return error.code === "FailedOperation.SourceUnsupported" || error instanceof ForbiddenAddressError;
}

function isNotFound({ code }: RoomcastError): boolean {
  return code === "FailedOperation.SourceNotFound";
}

function lostError(first: PlaylistSegment, failures: readonly RoomcastError[]): RoomcastError {
  const [cause] = failures;
  const kept = cause !== undefined && !cause.retryable && !isNotFound(cause);
  return unreadError(kept ? cause.code : "FailedOperation.SourceLost", first, failures);
}

function unreadError(
  code: RoomcastError["code"],
  first: PlaylistSegment,
  failures: readonly RoomcastError[],
): RoomcastError {
  const [cause] = failures;
  const more = failures.length - 1;
  const which = more > 0 ? `Segment ${first.sequence} and the ${more} after it` : `Segment ${first.sequence}`;
  return new RoomcastError(code, `${which} of the HLS playlist could not be read. ${cause?.message ?? ""}`.trim(), {
    cause,
  });
}

/** Yields the body. If the signal aborts, the connection is closed and the signal's reason is thrown. */
async function* abortable(
  body: AsyncGenerator<Buffer, void, undefined>,
  signal: AbortSignal,
  abort: AbortController,
): AsyncGenerator<Buffer, void, undefined> {
  const onAbort = () => {
    abort.abort(signal.reason);
  };
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    yield* body;
  } finally {
    signal.removeEventListener("abort", onAbort);
    abort.abort();
  }
}
