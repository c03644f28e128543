import type { Seat } from "@roomcast/shared";
import { type PushRefusal, REPLACED } from "./push-refusal.ts";
import type { SessionEndReason, SessionReport, UserReport } from "./room-report.ts";
import { type ArrivedTag, StreamMeasure } from "./stream-measure.ts";
import { StreamRelay } from "./stream-relay.ts";

/** The actions of a room on a publisher. */
export interface PublisherHandle {
  readonly remoteAddress: string;
  /** Unix ms. */
  readonly connectedAtMs: number;
  /** Says why with an onStatus error, then closes. */
  dismiss(refusal: PushRefusal): void;
  /** Cuts the connection without a word. */
  drop(): void;
  /** Takes no more bytes from the network while this is false. */
  setReading(reading: boolean): void;
}

export interface SeatRecordOptions {
  readonly seat: Seat;
  readonly now: () => number;
  /** True if viewers may begin with the newest group of pictures. */
  readonly keepsGroup: boolean;
}

const KEPT_SESSIONS = 50;

/** One publish while it lasts. */
export class Publish {
  readonly handle: PublisherHandle;
  readonly relay: StreamRelay;
  readonly measure = new StreamMeasure();
  readonly #now: () => number;
  readonly #number: number;
  readonly #publishedAtMs: number;
  #ended: { readonly atMs: number; readonly reason: SessionEndReason } | undefined;

  constructor(handle: PublisherHandle, number: number, options: SeatRecordOptions) {
    this.handle = handle;
    this.relay = new StreamRelay(options);
    this.#now = options.now;
    this.#number = number;
    this.#publishedAtMs = options.now();
  }

  /** Takes the next tag; after the end it does nothing. */
  take(tag: ArrivedTag): void {
    if (this.#ended !== undefined) return;
    this.relay.push(tag, this.measure.observe(tag, this.#now()));
  }

  /** Only the first reason counts. */
  end(reason: SessionEndReason): void {
    if (this.#ended !== undefined) return;
    this.#ended = { atMs: this.#now(), reason };
    this.relay.end();
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  report(): SessionReport {
    return {
      number: this.#number,
      remoteAddress: this.handle.remoteAddress,
      connectedAtMs: this.handle.connectedAtMs,
      publishedAtMs: this.#publishedAtMs,
      endedAtMs: this.#ended?.atMs ?? null,
      endReason: this.#ended?.reason ?? null,
      stream: this.measure.report(),
    };
  }
}

/** Everything that happened on one seat. */
export class SeatRecord {
  readonly seat: Seat;
  readonly #options: SeatRecordOptions;
  #current: Publish | undefined;
  #past: SessionReport[] = [];
  #publishes = 0;
  #replacements = 0;
  #refusals = 0;
  #lastPictureAtMs: number | null = null;
  #longestWaitMs = 0;

  constructor(options: SeatRecordOptions) {
    this.seat = options.seat;
    this.#options = options;
  }

  /** The publisher that holds the seat now. */
  get current(): Publish | undefined {
    return this.#current?.ended === false ? this.#current : undefined;
  }

  /** Gives the seat to a new publisher and notifies the one before that it was replaced. */
  begin(handle: PublisherHandle): Publish {
    this.putOut("Another publisher with the same UserId has entered the room and taken this one's place.");
    this.#archive();
    this.#publishes++;
    this.#current = new Publish(handle, this.#publishes, this.#options);
    return this.#current;
  }

  /** Ends the publish that lasts, if one does, for another one of the same user. */
  putOut(description: string): void {
    const before = this.current;
    if (before === undefined) return;
    this.#replacements++;
    before.end("replaced");
    before.handle.dismiss({ code: REPLACED, description });
  }

  refused(): void {
    this.#refusals++;
  }

  report(): UserReport {
    const current = this.#current;
    return {
      userId: this.seat.userId,
      online: this.current !== undefined,
      publishes: this.#publishes,
      replacements: this.#replacements,
      refusals: this.#refusals,
      longestPictureWaitMs: current === undefined ? this.#longestWaitMs : this.#waitWith(current),
      sessions: current === undefined ? this.#past : [...this.#past, current.report()],
    };
  }

  /** An ended publish is kept as its report only. */
  #archive(): void {
    const ended = this.#current;
    if (ended === undefined) return;
    this.#longestWaitMs = this.#waitWith(ended);
    this.#lastPictureAtMs = ended.measure.lastPictureAtMs ?? this.#lastPictureAtMs;
    this.#past = [...this.#past, ended.report()].slice(-(KEPT_SESSIONS - 1));
    this.#current = undefined;
  }

  #waitWith(publish: Publish): number {
    const { firstPictureAtMs, largestPictureGapMs } = publish.measure;
    const between =
      firstPictureAtMs === null || this.#lastPictureAtMs === null ? 0 : firstPictureAtMs - this.#lastPictureAtMs;
    return Math.max(this.#longestWaitMs, between, largestPictureGapMs);
  }
}
