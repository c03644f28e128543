import { RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { HlsClock } from "./hls-clock.ts";
import type { HlsTrack } from "./hls-segment.ts";
import { reloadDelayMs, segmentLengthMs } from "./live-edge.ts";
import type { MediaPlaylist } from "./media-playlist.ts";
import { PlaylistWindow } from "./playlist-window.ts";
import { retryDelayMs } from "./retry-delay.ts";

/** One media playlist, and how it is read again. */
export interface RenditionSource {
  readonly playlist: MediaPlaylist;
  /** When it was read, on the presentation's own clock, ms. */
  readonly loadedAtMs: number;
  /** @throws RoomcastError */
  reload(signal: AbortSignal): Promise<MediaPlaylist>;
}

export interface PlaylistFollowerOptions {
  readonly track: HlsTrack;
  readonly source: RenditionSource;
  /** Where the list begins on the common clock, ms. */
  readonly baseMs: number;
  readonly clock: HlsClock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Reads a growing list again when it is time. A list that fails is tried on: who waits for it has the patience. */
export class PlaylistFollower {
  readonly window: PlaylistWindow;
  readonly #options: PlaylistFollowerOptions;
  #loadedAtMs: number;
  #reloadAfterMs: number;
  #reloading: Promise<void> | undefined;
  #error: RoomcastError | undefined;

  constructor(options: PlaylistFollowerOptions) {
    const { playlist, loadedAtMs } = options.source;
    this.#options = options;
    this.window = new PlaylistWindow(playlist, options.baseMs);
    this.#loadedAtMs = loadedAtMs;
    this.#reloadAfterMs = reloadDelayMs(playlist, true);
  }

  /** Why the list could not be read the last time. */
  get error(): RoomcastError | undefined {
    return this.#error;
  }

  /** Until the list is to be read again, ms. */
  get dueInMs(): number {
    return this.#loadedAtMs + this.#reloadAfterMs - this.#options.clock.nowMs();
  }

  /** @param isNeeded nothing can be done without a newer list; else nobody waits for it, unless it is old */
  async refresh(isNeeded: boolean): Promise<void> {
    if (this.window.playlist.complete || this.dueInMs > 0) return;
    const isOld = -this.dueInMs > 3 * segmentLengthMs(this.window.playlist);
    this.#reloading ??= this.#reload().finally(() => {
      this.#reloading = undefined;
    });
    if (isNeeded || isOld) await this.#reloading;
  }

  /** Resolves when no request of it is under way. */
  async settled(): Promise<void> {
    await this.#reloading;
  }

  async #reload(): Promise<void> {
    const { source, signal, logger, track, clock } = this.#options;
    this.#loadedAtMs = clock.nowMs();
    try {
      const change = this.window.update(await source.reload(signal));
      this.#reloadAfterMs = reloadDelayMs(this.window.playlist, change === "grown" || change === "restarted");
      this.#error = undefined;
      if (change === "restarted") logger.info({ track }, "The live playlist began again; playing goes on with it.");
    } catch (error) {
      if (signal.aborted) return;
      if (this.#error === undefined) {
        logger.warn({ track, err: error }, "The live playlist could not be read; it is tried on.");
      }
      this.#error = RoomcastError.from(error);
      const delayMs = reloadDelayMs(this.window.playlist, false);
      this.#reloadAfterMs = retryDelayMs(error, 1, { firstMs: delayMs, maxMs: delayMs });
    }
  }
}
