import { RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { HttpClient } from "../http/http-client.ts";
import type { HlsSegment, HlsTrack } from "./hls-segment.ts";
import type { HlsTimer } from "./hls-timer.ts";
import type { AudioRendition, Variant } from "./master-playlist.ts";
import { PlaylistFollower, type RenditionSource, stoppedError } from "./playlist-follower.ts";
import { alignedBaseMs, PlaylistWindow } from "./playlist-window.ts";
import { RenditionFeed } from "./rendition-feed.ts";
import { SegmentLoader } from "./segment-loader.ts";
import { SlowWatch } from "./slow-watch.ts";
import { describeVariant, rungsBelow } from "./variant-choice.ts";

export interface HlsPresentationOptions {
  readonly http: HttpClient;
  readonly clock: HlsTimer;
  readonly logger: Logger;
  readonly patienceMs: number;
  readonly live: boolean;
  readonly main: RenditionSource;
  readonly audio: RenditionSource | null;
  readonly variant: Variant | null;
  readonly audioRendition: AudioRendition | null;
  readonly others: readonly OtherVariant[];
  readonly reasons: readonly string[];
}

/** A variant that can replace the one that is played. */
export interface OtherVariant {
  readonly variant: Variant;
  open(signal: AbortSignal): Promise<RenditionSource>;
}

export interface SegmentsOptions {
  /** The position at which a recorded stream begins, ms. */
  readonly fromMs?: number | undefined;
  readonly signal: AbortSignal;
}

/** An opened HLS stream: the chosen variant and audio rendition, and their segments. */
export class HlsPresentation {
  readonly live: boolean;
  /** The duration of the stream, ms, or null if its playlist may still grow. */
  readonly durationMs: number | null;
  /** Sentences for the plan that explain the choice of the variant and the audio rendition. */
  readonly reasons: readonly string[];
  /** The chosen audio rendition. Its `uri` is null if the audio is part of the variant. */
  readonly audioRendition: AudioRendition | null;
  readonly #options: HlsPresentationOptions;
  readonly #loader: SegmentLoader;
  readonly #slow: SlowWatch;
  readonly #floor = { floorMs: Number.NEGATIVE_INFINITY };
  #variant: Variant | null;
  readonly #failed = new Set<Variant>();
  #stepWanted = false;
  #main: RenditionSource;

  constructor(options: HlsPresentationOptions) {
    const { playlist } = options.main;
    this.#options = options;
    this.live = options.live;
    this.durationMs = playlist.complete ? playlist.durationMs : null;
    this.reasons = options.reasons;
    this.audioRendition = options.audioRendition;
    this.#variant = options.variant;
    this.#main = options.main;
    this.#loader = new SegmentLoader(options);
    this.#slow = new SlowWatch();
  }

  /** The variant that is currently played, or null if the playlist has no variants. */
  get variant(): Variant | null {
    return this.#variant;
  }

  /**
   * True if the playlist declared a discontinuity when the stream was opened, so its parts may have different formats.
   */
  get joinsParts(): boolean {
    return this.#options.main.playlist.segments.slice(1).some(({ discontinuity }) => discontinuity);
  }

  /** The beginning of the last segment of a growing playlist, ms, or null if the playlist is complete. */
  get growsFromMs(): number | null {
    const { playlist } = this.#main;
    if (playlist.complete) return null;
    return playlist.durationMs - (playlist.segments.at(-1)?.durationMs ?? 0);
  }

  /** The tracks that are read: `main`, and also `audio` if the audio has a separate playlist. */
  get tracks(): readonly HlsTrack[] {
    return this.#options.audio === null ? ["main"] : ["main", "audio"];
  }

  /**
   * Yields the segments of one track, each once and in order, until the playlist ends. A segment is requested before it
   * is yielded, so a caller that takes the next segment while it reads a body reads ahead by one. A caller that stops
   * early must return the generator or abort the signal.
   *
   * @throws RoomcastError `SourceLost` if the playlist stops growing or segments cannot be read
   */
  async *segments(track: HlsTrack, options: SegmentsOptions): AsyncGenerator<HlsSegment, void, undefined> {
    const { audio, clock, logger, patienceMs, live } = this.#options;
    const isMain = track === "main";
    const source = isMain ? this.#main : audio;
    if (source === null) throw new RoomcastError("InternalError", "The HLS stream has no separate audio playlist.");
    const { signal, fromMs = 0 } = options;
    const main = new PlaylistWindow(this.#options.main.playlist, 0);
    const feed = new RenditionFeed({
      track,
      source,
      baseMs: alignedBaseMs(source.playlist, main),
      loader: this.#loader,
      clock,
      logger,
      live,
      fromMs,
      patienceMs,
      floor: this.#floor,
      signal,
      nextSource: isMain ? () => this.#nextRung(signal) : undefined,
      replacement: isMain ? () => this.#replacement(signal) : undefined,
      onTransferred: isMain ? (waitedMs, bytes, mediaMs) => this.#slow.add({ waitedMs, bytes, mediaMs }) : undefined,
    });
    yield* feed.segments();
  }

  /** Plays the next lower variant, if there is one, from the next segment on. */
  stepDown(): void {
    this.#stepWanted = true;
  }

  /**
   * Waits until the playlist has a new segment or an end tag.
   *
   * @throws RoomcastError `SourceLost` if there is no new segment within `patienceMs`
   */
  async untilItGrows(signal: AbortSignal): Promise<void> {
    const { clock, logger, patienceMs } = this.#options;
    const follower = new PlaylistFollower({ track: "main", source: this.#main, baseMs: 0, clock, logger, signal });
    const { epoch, last: known } = follower.window;
    const sinceMs = clock.nowMs();
    for (;;) {
      signal.throwIfAborted();
      await follower.refresh(true);
      const { window } = follower;
      if (window.playlist.complete || window.epoch !== epoch || window.last?.sequence !== known?.sequence) break;
      const leftMs = sinceMs + patienceMs - clock.nowMs();
      if (leftMs <= 0) throw stoppedError(patienceMs, follower.error);
      if (follower.dueInMs > 0) await clock.sleep(Math.min(follower.dueInMs, leftMs), signal);
    }
    this.#main = { ...this.#main, playlist: follower.window.playlist, loadedAtMs: clock.nowMs() };
  }

  async #nextRung(signal: AbortSignal): Promise<RenditionSource | null> {
    const present = this.#variant;
    if (present === null || (!this.#stepWanted && !this.#slow.isSlow)) return null;
    this.#stepWanted = false;
    const { bitsPerSecond } = this.#slow;
    this.#slow.reset();
    const lower = rungsBelow(
      this.#options.others.map(({ variant }) => variant),
      present,
    );
    // Only the variants that the source can deliver in time are tried, or else the lowest one.
    const fitting = lower.filter(({ bandwidth }) => bitsPerSecond === null || bandwidth <= bitsPerSecond * SPARE);
    const source = await this.#openFirst(fitting.length > 0 ? fitting : lower.slice(-1), signal);
    if (source !== null) {
      this.#options.logger.warn(
        { bitsPerSecond, variant: this.#variant === null ? undefined : describeVariant(this.#variant) },
        "The source delivers too slowly; a lower variant is played from here on.",
      );
    }
    return source;
  }

  /** Opens another variant if the present one cannot be read any further. A variant that failed is not tried again. */
  async #replacement(signal: AbortSignal): Promise<RenditionSource | null> {
    if (this.#variant !== null) this.#failed.add(this.#variant);
    const variants = this.#options.others.map(({ variant }) => variant).filter((variant) => !this.#failed.has(variant));
    const source = await this.#openFirst(variants, signal);
    if (source !== null && this.#variant !== null) {
      this.#options.logger.warn(
        { variant: describeVariant(this.#variant) },
        "A variant of the playlist cannot be read any further; another one is played from here on.",
      );
    }
    return source;
  }

  /** Opens the first variant that can be read, and makes it the present one. Returns null if none can be read. */
  async #openFirst(variants: readonly Variant[], signal: AbortSignal): Promise<RenditionSource | null> {
    for (const variant of variants) {
      try {
        const source = await this.#options.others.find((other) => other.variant === variant)?.open(signal);
        if (source === undefined) continue;
        this.#variant = variant;
        this.#main = source;
        return source;
      } catch (error) {
        signal.throwIfAborted();
        this.#failed.add(variant);
        this.#options.logger.warn(
          { variant: describeVariant(variant), err: error },
          "Another variant of the playlist cannot be read.",
        );
      }
    }
    return null;
  }
}

/** The share of the measured bit rate that a lower variant may need. */
const SPARE = 0.8;
