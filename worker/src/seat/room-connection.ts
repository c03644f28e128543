import { RoomcastError } from "@roomcast/shared";
import { SilenceWatch } from "../base/silence-watch.ts";
import type { OutgoingMedia, Publisher } from "../publisher/publisher.ts";
import type { Ticker } from "../timeline/ticker.ts";
import type { RateMeter } from "./rate-meter.ts";

/** How one connection to the room ended; `empty`: nobody was left who wanted it. */
export type ConnectionEnd = { readonly name: "empty" } | { readonly name: "lost"; readonly error: RoomcastError };

/** Those who play through a connection. */
export interface Occupants {
  /** Asked while the room is being entered; true: nobody is left, because their sources failed or they were stopped. */
  giveUp(): boolean;
  /** Moves what they play on; true: nobody is left. */
  tick(nowMs: number): boolean;
  /** The room takes nothing: of what is live, what waits is dropped. */
  dropWaiting(): void;
  /** What they are about to send; undefined: not known yet. */
  picture(): Parameters<Publisher["sendMetadata"]>[0] | undefined;
  /** What is queued is not worth waiting for. */
  hurry(): boolean;
}

export interface RoomConnectionOptions {
  readonly publisher: Publisher;
  readonly ticker: Ticker;
  readonly rates: RateMeter;
  readonly occupants: Occupants;
  /** Waited for right before the seat is taken. */
  readonly mayPublish: () => Promise<void>;
  /** A room that takes nothing for this long is lost, ms. */
  readonly stallMs: number;
}

/** More than this not yet taken by the network: the source is held back, bytes. */
const HOLD_BYTES = 1024 * 1024;
/** Held back for longer than this, a live source is dropped up to its next keyframe, ms. */
const LIVE_HOLD_MS = 1_000;
/** A tidy end waits at most this long for the network to take the rest, ms. */
const FLUSH_MS = 3_000;

/** One connection to the room: enters it and has its occupants play until it is lost or nobody is left. */
export class RoomConnection {
  readonly #options: RoomConnectionOptions;
  /** Set once it is entered. */
  #room: Publisher | undefined;
  #attend: ((nowMs: number) => void) | undefined;

  constructor(options: RoomConnectionOptions) {
    this.#options = options;
  }

  /** Once. */
  async run(): Promise<ConnectionEnd> {
    return (await this.#enter()) ?? (await this.#play());
  }

  /** Something has happened that should not wait for the next tick. */
  attendNow(): void {
    this.#attend?.(performance.now());
  }

  send(media: OutgoingMedia, isPicture: boolean): void {
    this.#room?.send(media);
    this.#options.rates.add(media.payload.length, isPicture ? 1 : 0);
  }

  /** Resolves when nothing is left of it. */
  async close(): Promise<void> {
    this.#room = undefined;
    await this.#options.publisher.stop();
  }

  /** The room and the first source are dialled at the same time; when one fails, the other is not waited for. */
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

  /** What one tick does; answers with the end. */
  #watch(startedMs: number): (nowMs: number) => ConnectionEnd | undefined {
    const { publisher, rates, occupants, stallMs } = this.#options;
    const stalled = new SilenceWatch(startedMs, stallMs);
    const held = new SilenceWatch(startedMs, LIVE_HOLD_MS);
    let sentBytes = 0;
    let told = false;
    return (nowMs) => {
      rates.roll(nowMs);
      const holds = publisher.queuedBytes > HOLD_BYTES;
      if (stalled.look(nowMs, !holds || publisher.sentBytes !== sentBytes)) {
        return { name: "lost", error: roomStalled(stallMs) };
      }
      sentBytes = publisher.sentBytes;
      if (held.look(nowMs, !holds)) occupants.dropWaiting();
      if (holds) return undefined;
      if (!told) told = this.#tellPicture();
      return occupants.tick(nowMs) ? { name: "empty" } : undefined;
    };
  }

  /** Before the first picture; @returns whether there was something to tell. */
  #tellPicture(): boolean {
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
