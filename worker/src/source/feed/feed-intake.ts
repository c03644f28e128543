import { RoomcastError } from "@roomcast/shared";
import { ContinuousClock } from "../continuous-clock.ts";
import type { SourceEnd } from "../source.ts";
import { codecOf, type FedTag } from "./fed-tag.ts";
import type { Announcement, TagFeed, TagTaker } from "./tag-feed.ts";
import { type FedTracks, TrackProbe } from "./track-probe.ts";

/** A group of pictures at 1080p's highest rates fits in it; more before the tracks are known is hostile. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;

/** Sound that begins so much before the first picture is heard with a made picture, ms; less is a loose start. */
const LONGEST_LEAD_MS = 500;

/** Of the sound of a live source without a picture so much is kept at the start, ms: what comes unevenly is even then. */
const SOUND_KEPT_MS = 400;

export interface FeedIntakeOptions {
  readonly feed: TagFeed;
  /** The clock begins at 0 where the source is joined. */
  readonly live: boolean;
  /** Tags come as they happen, and what is older than the newest keyframe is of no interest at the start. */
  readonly realTime: boolean;
  /** Recorded: what comes before the last keyframe that is not behind this is left out, ms. */
  readonly startAtMs: number;
  /** False: a position is what is played up to there, whatever the feed's clock says. True unless given. */
  readonly clockTellsPosition?: boolean | undefined;
  /** Until the tracks and the first keyframe are at hand, ms. */
  readonly readyTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The source as it may be shown. */
  readonly shown: string;
  readonly onJump?: ((byMs: number) => void) | undefined;
}

/** What takes the tags once the tracks are known; their clock is continuous. */
export interface IntakeOutlet {
  take(tag: FedTag): void;
  end(end: SourceEnd): void;
}

/** The headers that came last. */
export interface FeedHeaders {
  readonly video: FedTag | undefined;
  readonly audio: FedTag | undefined;
}

/** What a shift of the clock holds from, on the continuous clock. */
interface Epoch {
  readonly fromMs: number;
  readonly shiftMs: number;
}

/** The beginning of a feed: makes its clock continuous, learns its tracks and holds its tags until somebody takes them. */
export class FeedIntake implements TagTaker {
  readonly #options: FeedIntakeOptions;
  readonly #clock: ContinuousClock;
  readonly #probe = new TrackProbe();
  readonly #probed = Promise.withResolvers<FedTracks>();
  #headers: { video: FedTag | undefined; audio: FedTag | undefined } = { video: undefined, audio: undefined };
  #held: FedTag[] = [];
  #heldBytes = 0;
  /** How many of the held tags came before the tracks were decided. */
  #learned = 0;
  #ready = false;
  /** The newest picture that cannot be shown: of a stream that has nothing else yet, it tells the time. */
  #loose: FedTag | undefined;
  /** Where a live source was joined, on the continuous clock, ms. */
  #baseMs = 0;
  #firstTagAtMs: number | undefined;
  #missing = "audio and video";
  #outlet: IntakeOutlet | undefined;
  #end: SourceEnd | undefined;
  #epochs: Epoch[] = [];

  constructor(options: FeedIntakeOptions) {
    this.#options = options;
    this.#clock = new ContinuousClock({ live: options.realTime, onJump: options.onJump ?? (() => {}) });
    this.#probed.promise.catch(() => undefined);
  }

  /**
   * Starts the feed; resolves when its tracks are known.
   *
   * @throws RoomcastError `FailedOperation.Source…`; the signal's reason when that aborts
   */
  async probe(): Promise<FedTracks> {
    const { feed, readyTimeoutMs, signal } = this.#options;
    const timer = setTimeout(() => this.#late(readyTimeoutMs), readyTimeoutMs);
    // The time that counts passes also while nothing comes.
    const look = setInterval(() => this.#look(), 250);
    const abort = () => this.#probed.reject(signal?.reason);
    if (signal?.aborted === true) abort();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      // The first to reject wins: a refusal, the deadline, the signal.
      const [tracks] = await Promise.all([this.#probed.promise, feed.start(this)]);
      return tracks;
    } finally {
      clearTimeout(timer);
      clearInterval(look);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** As of the tag that was handed on last. */
  get headers(): FeedHeaders {
    return this.#headers;
  }

  get tracks(): FedTracks {
    return this.#probe.tracks;
  }

  get reasons(): readonly string[] {
    return this.#probe.reasons;
  }

  get pictureSize(): { readonly width: number; readonly height: number } | undefined {
    return this.#probe.pictureSize;
  }

  /** Recorded: there is sound so long before the first picture that it is to be heard. */
  get soundLeads(): boolean {
    const [first] = this.#held;
    const picture = this.#held.find(({ kind }) => kind === "video");
    if (this.#options.live || first === undefined || picture === undefined) return false;
    return picture.dtsMs - Math.max(first.dtsMs, this.#options.startAtMs) > LONGEST_LEAD_MS;
  }

  /** Why the feed ended, where that was no proper end. */
  get failure(): RoomcastError | undefined {
    return this.#end?.name === "failed" ? this.#end.error : undefined;
  }

  /** Hands on what is held, then what comes. */
  pipe(outlet: IntakeOutlet): void {
    this.#outlet = outlet;
    if (this.#options.realTime) this.#dropOldSound();
    const first = this.#held[0] ?? this.#loose;
    if (this.#options.live) this.#baseMs = first?.dtsMs ?? 0;
    if (this.#held.length === 0 && first !== undefined) outlet.take({ ...first, dtsMs: first.dtsMs - this.#baseMs });
    const learned = this.#learned;
    for (const [at, tag] of this.#held.splice(0).entries()) this.#handOn(outlet, tag, at < learned);
    this.#heldBytes = 0;
    if (this.#end !== undefined) outlet.end(this.#end);
  }

  /** Sound that has waited in vain for a picture is joined at its newest, as pictures are at their keyframe. */
  #dropOldSound(): void {
    if (this.#held.some(({ kind }) => kind === "video")) return;
    const newestMs = this.#held.at(-1)?.dtsMs ?? 0;
    const from = this.#held.findIndex(({ dtsMs }) => dtsMs >= newestMs - SOUND_KEPT_MS);
    this.#held.splice(0, from);
    this.#learned = Math.max(0, this.#learned - from);
  }

  /** The position in the source of a time on the continuous clock, ms; undefined where both are the same. */
  positionAt(continuousMs: number): number | undefined {
    if (!this.#clockTells) return undefined;
    const epoch = this.#epochs.findLast(({ fromMs }) => fromMs <= continuousMs);
    return epoch === undefined || epoch.shiftMs === 0 ? undefined : continuousMs - epoch.shiftMs;
  }

  announce(announcement: Announcement): void {
    this.#probe.announce(announcement);
  }

  jump(kind: "audio" | "video"): void {
    this.#clock.announceJump(kind);
  }

  take(given: FedTag): void {
    const tag = this.#continuous(given);
    if (this.#outlet !== undefined) {
      this.#handOn(this.#outlet, tag);
      return;
    }
    if (this.#ready) {
      // What is played was decided by what came before this.
      this.#keep(tag);
      return;
    }
    this.#learn(tag);
    this.#hold(tag);
    this.#firstTagAtMs ??= performance.now();
    this.#look();
  }

  end(end: SourceEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    if (this.#outlet !== undefined) {
      this.#outlet.end(end);
      return;
    }
    this.#look();
    const { shown } = this.#options;
    const text = `${shown} ended before it had ${this.#missing}.`;
    this.#probed.reject(this.failure ?? new RoomcastError("FailedOperation.SourceNotMedia", text));
  }

  get #clockTells(): boolean {
    return this.#options.clockTellsPosition ?? true;
  }

  #learn(tag: FedTag): void {
    this.#probe.observe(tag);
    const { kind } = tag;
    const header = this.#headers[kind];
    if (tag.sequenceHeader) this.#headers[kind] = tag;
    // A header of another codec says nothing of what comes now.
    else if (header !== undefined && codecOf(header) !== codecOf(tag)) this.#headers[kind] = undefined;
  }

  #handOn(outlet: IntakeOutlet, tag: FedTag, learned = false): void {
    if (!learned) this.#learn(tag);
    if (this.#baseMs === 0) {
      outlet.take(tag);
      return;
    }
    const dtsMs = tag.dtsMs - this.#baseMs;
    // Sound that belongs to pictures before the first keyframe.
    if (dtsMs >= 0 || tag.sequenceHeader) outlet.take({ ...tag, dtsMs: Math.max(0, dtsMs) });
  }

  #continuous(tag: FedTag): FedTag {
    if (tag.sequenceHeader) return tag;
    const shiftMs = this.#clock.shiftMs(tag.kind, tag.dtsMs);
    if ((this.#epochs.at(-1)?.shiftMs ?? 0) !== shiftMs && tag.kind === "video") {
      this.#epochs.push({ fromMs: tag.dtsMs + shiftMs, shiftMs });
      // A source whose clock jumps all the time must not fill the memory.
      if (this.#epochs.length > 64) this.#epochs = this.#epochs.slice(-32);
    }
    if (shiftMs === 0) return tag;
    const dtsMs = tag.dtsMs + shiftMs;
    return this.#clockTells ? { ...tag, dtsMs, positionMs: tag.positionMs ?? tag.dtsMs } : { ...tag, dtsMs };
  }

  #hold(tag: FedTag): void {
    if (tag.sequenceHeader) return;
    const isPicture = tag.kind === "video";
    const passed = this.#options.realTime || tag.dtsMs + tag.compositionMs <= this.#options.startAtMs;
    if (isPicture && tag.keyframe && passed) this.#drop();
    // Pictures that hang on a keyframe which never came cannot be shown.
    if (isPicture && !tag.keyframe && !this.#probe.tracks.pictureHere) {
      this.#loose = tag;
      return;
    }
    this.#keep(tag);
    this.#learned = this.#held.length;
  }

  #keep(tag: FedTag): void {
    this.#held.push(tag);
    this.#heldBytes += tag.payload.length;
    if (this.#heldBytes <= MAX_HELD_BYTES) return;
    const size = MAX_HELD_BYTES / 1024 / 1024;
    const text = `${this.#options.shown} sent ${size} MiB without ${this.#missing}.`;
    this.#drop();
    this.#probed.reject(new RoomcastError("FailedOperation.SourceUnsupported", text));
    void this.#options.feed.close();
  }

  #drop(): void {
    this.#held = [];
    this.#learned = 0;
    this.#heldBytes = 0;
  }

  #look(): void {
    if (this.#firstTagAtMs === undefined || this.#ready) return;
    const elapsedMs = this.#options.realTime ? performance.now() - this.#firstTagAtMs : 0;
    const verdict = this.#probe.verdict(elapsedMs, this.#end !== undefined);
    if (verdict.name === "ready" && !this.#isThere) return;
    if (verdict.name === "wait") {
      this.#missing = verdict.missing;
      return;
    }
    this.#ready = true;
    this.#probed.resolve(verdict.tracks);
  }

  /** What was read has come to where it is to begin. */
  get #isThere(): boolean {
    const newest = this.#held.at(-1)?.dtsMs ?? Number.NEGATIVE_INFINITY;
    return this.#end !== undefined || newest >= this.#options.startAtMs || this.#options.live;
  }

  #late(timeoutMs: number): void {
    const { shown, live } = this.#options;
    const hint = live ? ": is somebody publishing it?" : ".";
    const text = `${shown} did not send ${this.#missing} within ${timeoutMs} ms${hint}`;
    this.#probed.reject(new RoomcastError("FailedOperation.SourceTimeout", text));
  }
}
