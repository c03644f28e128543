import { RoomcastError } from "@roomcast/shared";
import { SilenceWatch } from "../base/silence-watch.ts";
import type { OutgoingMedia, Publisher } from "../publisher/publisher.ts";
import type { Ticker } from "../timeline/ticker.ts";
import type { RateMeter } from "./rate-meter.ts";

/** The end of one connection to the room. `empty` means that no task was left to play. */
export type ConnectionEnd = { readonly name: "empty" } | { readonly name: "lost"; readonly error: RoomcastError };

/** The tasks that play through a connection. */
export interface Occupants {
  /**
   * Called while the room is being entered. Returns true if no task is left, because its source failed or it was
   * stopped.
   */
  giveUp(): boolean;
  /** Advances playback. Returns true if no task is left. */
  tick(nowMs: number): boolean;
  /** Drops the queued media of a live source. Called when the room accepts nothing. */
  dropWaiting(): void;
  /** Returns the picture format that is about to be sent, or undefined if it is not known yet. */
  picture(): Parameters<Publisher["sendMetadata"]>[0] | undefined;
  /** Returns true if the connection must close without waiting for queued media. */
  hurry(): boolean;
}

export interface RoomConnectionOptions {
  readonly publisher: Publisher;
  readonly ticker: Ticker;
  readonly rates: RateMeter;
  readonly occupants: Occupants;
  /** Awaited right before publishing, which takes the seat. */
  readonly mayPublish: () => Promise<void>;
  /** The time without accepted media after which the connection counts as lost, ms. */
  readonly stallMs: number;
}

/** The bytes waiting for the network above which playback is held back. */
const HOLD_BYTES = 1024 * 1024;
/** The time of being held back after which a live source is dropped up to its next keyframe, ms. */
const LIVE_HOLD_MS = 1_000;
/** The longest time that a tidy end waits for the remaining media to be sent, ms. */
const FLUSH_MS = 3_000;

/**
 * One connection to the room: enters the room and lets the tasks play until the connection is lost or no task is left.
 */
export class RoomConnection {
  readonly #options: RoomConnectionOptions;
  /** Set once the room has been entered. */
  #room: Publisher | undefined;
  #attend: ((nowMs: number) => void) | undefined;

  constructor(options: RoomConnectionOptions) {
    this.#options = options;
  }

  /** Runs the connection until it ends. Must be called only once. */
  async run(): Promise<ConnectionEnd> {
    return (await this.#enter()) ?? (await this.#play());
  }

  /** Runs a tick now, for an event that should not wait for the next one. */
  attendNow(): void {
    this.#attend?.(performance.now());
  }

  send(media: OutgoingMedia, isPicture: boolean): void {
    this.#room?.send(media);
    this.#options.rates.add(media.payload.length, isPicture ? 1 : 0);
  }

  /** Closes the connection. Resolves when the publisher has stopped. */
  async close(): Promise<void> {
    this.#room = undefined;
    await this.#options.publisher.stop();
  }

  /** Enters the room while the first source opens. If either of the two fails, the other is not awaited. */
  async #enter(): Promise<ConnectionEnd | undefined> {
    const { publisher, ticker, occupants, mayPublish } = this.#options;
    const gaveUp = Promise.withResolvers<ConnectionEnd>();
    const attend = (): void => {
      if (occupants.giveUp()) gaveUp.resolve({ name: "empty" });
    };
    this.#attend = attend;
    const entered = publisher.start(mayPublish).then(
      () => undefined,
      (thrown: unknown) => ({ name: "lost", error: RoomcastError.from(thrown) }) as const,
    );
    const removeTick = ticker.add(attend);
    attend();
    const end = await Promise.race([entered, gaveUp.promise]);
    removeTick();
    this.#attend = undefined;
    return end;
  }

  async #play(): Promise<ConnectionEnd> {
    const { publisher, ticker, occupants } = this.#options;
    this.#room = publisher;
    const over = Promise.withResolvers<ConnectionEnd>();
    publisher.onEnded = (error) => over.resolve({ name: "lost", error });
    const startedMs = performance.now();
    const watch = this.#watch(startedMs);
    const tick = (nowMs: number): void => {
      const end = watch(nowMs);
      if (end !== undefined) over.resolve(end);
    };
    this.#attend = tick;
    const removeTick = ticker.add(tick);
    tick(startedMs);
    const end = await over.promise;
    removeTick();
    this.#attend = undefined;
    if (end.name === "empty" && !occupants.hurry()) await this.#flush();
    publisher.onEnded = undefined;
    return end;
  }

  /** Returns the function that each tick calls. It returns how the connection ended, once it has. */
  #watch(startedMs: number): (nowMs: number) => ConnectionEnd | undefined {
    const { publisher, rates, occupants, stallMs } = this.#options;
    const stalled = new SilenceWatch(startedMs, stallMs);
    const held = new SilenceWatch(startedMs, LIVE_HOLD_MS);
    let sentBytes = 0;
    let metadataSent = false;
    return (nowMs) => {
      rates.roll(nowMs);
      const holds = publisher.queuedBytes > HOLD_BYTES;
      if (stalled.look(nowMs, !holds || publisher.sentBytes !== sentBytes)) {
        return { name: "lost", error: roomStalled(stallMs) };
      }
      sentBytes = publisher.sentBytes;
      if (held.look(nowMs, !holds)) occupants.dropWaiting();
      if (holds) return undefined;
      if (!metadataSent) metadataSent = this.#sendMetadata();
      return occupants.tick(nowMs) ? { name: "empty" } : undefined;
    };
  }

  /** Sends the metadata, which must precede the first picture. Returns false if the format is not known yet. */
  #sendMetadata(): boolean {
    const picture = this.#options.occupants.picture();
    if (picture !== undefined) this.#options.publisher.sendMetadata(picture);
    return picture !== undefined;
  }

  async #flush(): Promise<void> {
    const { publisher, ticker } = this.#options;
    const flushed = Promise.withResolvers<void>();
    const deadlineMs = performance.now() + FLUSH_MS;
    publisher.onEnded = () => flushed.resolve();
    const removeTick = ticker.add((nowMs) => {
      if (publisher.queuedBytes === 0 || nowMs > deadlineMs) flushed.resolve();
    });
    await flushed.promise;
    removeTick();
  }
}

function roomStalled(stallMs: number): RoomcastError {
  return new RoomcastError(
    "FailedOperation.RoomLost",
    `The room took no media for ${stallMs / 1000} s; the connection was given up.`,
  );
}
