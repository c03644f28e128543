import { RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { HttpClient } from "../http/http-client.ts";
import type { HlsClock } from "./hls-clock.ts";
import type { HlsSegment, HlsTrack } from "./hls-segment.ts";
import type { AudioRendition, Variant } from "./master-playlist.ts";
import type { RenditionSource } from "./playlist-follower.ts";
import { alignedBaseMs, PlaylistWindow } from "./playlist-window.ts";
import { RenditionFeed } from "./rendition-feed.ts";
import { SegmentLoader } from "./segment-loader.ts";
import { SlowWatch } from "./slow-watch.ts";
import { describeVariant, rungsBelow } from "./variant-choice.ts";

export interface HlsPresentationOptions {
  readonly http: HttpClient;
  readonly clock: HlsClock;
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

/** A variant that can be played instead. */
export interface OtherVariant {
  readonly variant: Variant;
  open(signal: AbortSignal): Promise<RenditionSource>;
}

export interface SegmentsOptions {
  /** Recorded: where to begin, ms. */
  readonly fromMs?: number | undefined;
  readonly signal: AbortSignal;
}

/** An opened HLS stream: the variant and the sound that were chosen, and their segments. */
export class HlsPresentation {
  readonly live: boolean;
  /** null: live, or a list that still grows. */
  readonly durationMs: number | null;
  /** Sentences for the plan: why this variant and this sound. */
  readonly reasons: readonly string[];
  /** The sound rendition that was chosen; its `uri` is null where it is within the variant. */
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

  /** The variant that is played now; null: the playlist has none. */
  get variant(): Variant | null {
    return this.#variant;
  }

  /** The playlist, as it was when the stream was opened, says that it joins parts that need not fit together. */
  get joinsParts(): boolean {
    return this.#options.main.playlist.segments.slice(1).some(({ discontinuity }) => discontinuity);
  }

  /** `audio` where the sound has a playlist of its own. */
  get tracks(): readonly HlsTrack[] {
    return this.#options.audio === null ? ["main"] : ["main", "audio"];
  }

  /**
   * The segments of one track, each once and in order; ends where the playlist ends. A segment's request is made before
   * it is given, so asking for the next one while a body is being read is reading ahead by one. What is not read to its
   * end must be returned, or the signal aborted.
   *
   * @throws RoomcastError `SourceLost` where the list stops growing or segments are not to be had
   */
  async *segments(track: HlsTrack, options: SegmentsOptions): AsyncGenerator<HlsSegment, void, undefined> {
    const { audio, clock, logger, patienceMs, live } = this.#options;
    const isMain = track === "main";
    const source = isMain ? this.#main : audio;
    if (source === null) throw new RoomcastError("InternalError", "The HLS stream has no sound of its own.");
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

  /** From the next segment on, the next lower rung is played, if there is one. */
  stepDown(): void {
    this.#stepWanted = true;
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
    // Those that the source can deliver, or else the lowest.
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

  /** Another variant in place of one that gives nothing more, each at most once. */
  async #replacement(signal: AbortSignal): Promise<RenditionSource | null> {
    if (this.#variant !== null) this.#failed.add(this.#variant);
    const variants = this.#options.others.map(({ variant }) => variant).filter((variant) => !this.#failed.has(variant));
    const source = await this.#openFirst(variants, signal);
    if (source !== null && this.#variant !== null) {
      this.#options.logger.warn(
        { variant: describeVariant(this.#variant) },
        "A variant of the playlist gives nothing more; another one is played from here on.",
      );
    }
    return source;
  }

  /** Opens the first of some variants that is to be had, and plays it from now on; null: none is. */
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
          "Another variant is not to be had.",
        );
      }
    }
    return null;
  }
}

/** The part of what a source delivers that a variant may take. */
const SPARE = 0.8;
