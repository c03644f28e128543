import { RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { HlsTrack } from "./hls-segment.ts";
import type { HlsTimer } from "./hls-timer.ts";
import { readingPauseMs, reloadDelayMs, segmentLengthMs } from "./live-edge.ts";
import type { MediaPlaylist } from "./media-playlist.ts";
import { PlaylistWindow } from "./playlist-window.ts";
import { retryDelayMs } from "./retry-delay.ts";

/** One media playlist and the function that reads it again. */
export interface RenditionSource {
  readonly playlist: MediaPlaylist;
  /** The time at which the playlist was read, ms of the HLS clock. */
  readonly loadedAtMs: number;
  /**
   * @param onRead called with the number of bytes that the server sent, even if the document is then refused
   * @throws RoomcastError
   */
  reload(signal: AbortSignal, onRead: (bytes: number) => void): Promise<MediaPlaylist>;
}

export interface PlaylistFollowerOptions {
  readonly track: HlsTrack;
  readonly source: RenditionSource;
  /** The playlist's beginning on the clock that all renditions share, ms. */
  readonly baseMs: number;
  readonly clock: HlsTimer;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/**
 * Reloads a growing playlist when a reload is due. After a failure it tries again, without a limit; the caller decides
 * when to give up.
 */
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
    this.#reloadAfterMs = Math.max(reloadDelayMs(playlist, true), readingPauseMs(playlist.bytes));
  }

  /** The error of the last reload, or undefined if it succeeded. */
  get error(): RoomcastError | undefined {
    return this.#error;
  }

  /** Milliseconds until the playlist is due to be reloaded. */
  get dueInMs(): number {
    return this.#loadedAtMs + this.#reloadAfterMs - this.#options.clock.nowMs();
  }

  /**
   * Reloads the playlist if it is due.
   *
   * @param isNeeded true to wait for the result because no segment is left; otherwise the call waits only if the
   *   playlist is old
   */
  async refresh(isNeeded: boolean): Promise<void> {
    if (this.window.playlist.complete || this.dueInMs > 0) return;
    const isOld = -this.dueInMs > 3 * segmentLengthMs(this.window.playlist);
    this.#reloading ??= this.#reload().finally(() => {
      this.#reloading = undefined;
    });
    if (isNeeded || isOld) await this.#reloading;
  }

  /** Resolves when no reload is in progress. */
  async settled(): Promise<void> {
    await this.#reloading;
  }

  async #reload(): Promise<void> {
    const { source, signal, logger, track, clock } = this.#options;
    this.#loadedAtMs = clock.nowMs();
    // The pause follows from the size of the received document and not from that of the window: the document may be
    // ignored or refused, and the window then stays small.
    let pauseMs = 0;
    const onRead = (bytes: number) => {
      pauseMs = readingPauseMs(bytes);
    };
    try {
      const change = this.window.update(await source.reload(signal, onRead));
      const delayMs = reloadDelayMs(this.window.playlist, change === "grown" || change === "restarted");
      this.#reloadAfterMs = Math.max(delayMs, pauseMs);
      this.#error = undefined;
      if (change === "restarted") logger.info({ track }, "The live playlist restarted; playing continues with it.");
    } catch (error) {
      if (signal.aborted) return;
      if (this.#error === undefined) {
        logger.warn({ track, err: error }, "The live playlist could not be read; it will be tried again.");
      }
      this.#error = RoomcastError.from(error);
      const delayMs = Math.max(reloadDelayMs(this.window.playlist, false), pauseMs);
      this.#reloadAfterMs = retryDelayMs(error, 1, { firstMs: delayMs, maxMs: delayMs });
    }
  }
}

/**
 * Makes the error for a live playlist without new segments.
 *
 * @param error the error of the last reload, or undefined if it succeeded
 */
export function stoppedError(waitedMs: number, error: RoomcastError | undefined): RoomcastError {
  const seconds = Math.round(waitedMs / 1000);
  return new RoomcastError(
    "FailedOperation.SourceLost",
    error === undefined
      ? `The live playlist has had no new segment for ${seconds} s: its encoder has stopped.`
      : `The live playlist could not be read for ${seconds} s. ${error.message}`,
    { cause: error },
  );
}
