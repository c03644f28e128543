import { RoomcastError } from "@roomcast/shared";
import { ContinuousClock } from "../continuous-clock.ts";
import type { SourceEnd } from "../source.ts";
import { codecOf, type FedTag } from "./fed-tag.ts";
import type { Announcement, TagFeed, TagTaker } from "./tag-feed.ts";
import { type FedTracks, TrackProbe } from "./track-probe.ts";

/**
 * The most bytes before the tracks are known. A GOP of 1080p at the highest bit rates fits. More bytes are treated as
 * an attack.
 */
const MAX_HELD_BYTES = 32 * 1024 * 1024;

/**
 * The longest sound before the first picture that is not played, ms. Sound that begins earlier is played with a made
 * picture.
 */
const LONGEST_LEAD_MS = 500;

/**
 * The newest sound that is kept at the start of a live source without a picture, ms. This reserve compensates for
 * uneven arrival.
 */
const SOUND_KEPT_MS = 400;

export interface FeedIntakeOptions {
  readonly feed: TagFeed;
  /** True for a live source. Its clock then begins at 0 where the source is joined. */
  readonly live: boolean;
  /** True if tags come in real time. At the start, media before the newest keyframe are then dropped. */
  readonly realTime: boolean;
  /** The start position of a recorded source, ms. Media before the last keyframe up to this position are dropped. */
  readonly startAtMs: number;
  /**
   * True (the default) if the feed's clock gives the position; false if the position is the duration of the played
   * media.
   */
  readonly clockTellsPosition?: boolean | undefined;
  /** The longest wait for the tracks and the first keyframe, ms. */
  readonly readyTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The name of the source for texts, without secrets. */
  readonly shown: string;
  readonly onJump?: ((byMs: number) => void) | undefined;
}

/** The receiver of the tags after the tracks are known. The clock of these tags is continuous. */
export interface IntakeOutlet {
  take(tag: FedTag): void;
  end(end: SourceEnd): void;
}

/** The latest sequence headers. */
export interface FeedHeaders {
  readonly video: FedTag | undefined;
  readonly audio: FedTag | undefined;
}

/** A shift of the clock, with the time on the continuous clock from which it applies. */
interface Epoch {
  readonly fromMs: number;
  readonly shiftMs: number;
}

/** Reads a feed from its beginning: makes its clock continuous, detects its tracks and holds its tags until they are taken. */
export class FeedIntake implements TagTaker {
  readonly #options: FeedIntakeOptions;
  readonly #clock: ContinuousClock;
  readonly #probe = new TrackProbe();
  readonly #probed = Promise.withResolvers<FedTracks>();
  #headers: { video: FedTag | undefined; audio: FedTag | undefined } = { video: undefined, audio: undefined };
  #held: FedTag[] = [];
  #heldBytes = 0;
  /** The number of held tags that came before the tracks were known. */
  #learned = 0;
  #ready = false;
  /** The newest picture that cannot be shown; its time is the beginning of a stream that has no other media yet. */
  #loose: FedTag | undefined;
  /** The time on the continuous clock at which a live source was joined, ms. */
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
    // The waiting time also passes while no tag comes.
    const look = setInterval(() => this.#look(), 250);
    const abort = () => this.#probed.reject(signal?.reason);
    if (signal?.aborted === true) abort();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      // A refusal by the feed, the deadline and the signal reject the promise; the first of them decides the error.
      const [tracks] = await Promise.all([this.#probed.promise, feed.start(this)]);
      return tracks;
    } finally {
      clearTimeout(timer);
      clearInterval(look);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** The latest sequence headers, as of the last tag that was passed on. */
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

  /** True if the sound of a recorded source begins so long before the first picture that this sound is played. */
  get soundLeads(): boolean {
    const [first] = this.#held;
    const picture = this.#held.find(({ kind }) => kind === "video");
    if (this.#options.live || first === undefined || picture === undefined) return false;
    return picture.dtsMs - Math.max(first.dtsMs, this.#options.startAtMs) > LONGEST_LEAD_MS;
  }

  /** The error with which the feed ended; undefined after a regular end. */
  get failure(): RoomcastError | undefined {
    return this.#end?.name === "failed" ? this.#end.error : undefined;
  }

  /** Passes on the held tags and then all later ones. */
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

  /** Drops all but the newest sound of a source without a picture. Pictures likewise begin at their newest keyframe. */
  #dropOldSound(): void {
    if (this.#held.some(({ kind }) => kind === "video")) return;
    const newestMs = this.#held.at(-1)?.dtsMs ?? 0;
    const from = this.#held.findIndex(({ dtsMs }) => dtsMs >= newestMs - SOUND_KEPT_MS);
    this.#held.splice(0, from);
    this.#learned = Math.max(0, this.#learned - from);
  }

  /**
   * Returns the position in the source of a time on the continuous clock, ms; undefined if both are equal or the feed's
   * clock does not give positions.
   */
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
      // The played tracks are decided already, so the tag is only kept.
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
    // A header of another codec does not apply to the following media.
    else if (header !== undefined && codecOf(header) !== codecOf(tag)) this.#headers[kind] = undefined;
  }

  #handOn(outlet: IntakeOutlet, tag: FedTag, learned = false): void {
    if (!learned) this.#learn(tag);
    if (this.#baseMs === 0) {
      outlet.take(tag);
      return;
    }
    const dtsMs = tag.dtsMs - this.#baseMs;
    // Sound from before the beginning is dropped: it belongs to pictures before the first keyframe.
    if (dtsMs >= 0 || tag.sequenceHeader) outlet.take({ ...tag, dtsMs: Math.max(0, dtsMs) });
  }

  #continuous(tag: FedTag): FedTag {
    if (tag.sequenceHeader) return tag;
    const shiftMs = this.#clock.shiftMs(tag.kind, tag.dtsMs);
    if ((this.#epochs.at(-1)?.shiftMs ?? 0) !== shiftMs && tag.kind === "video") {
      this.#epochs.push({ fromMs: tag.dtsMs + shiftMs, shiftMs });
      // A source whose clock jumps constantly must not fill the memory.
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
    // A picture whose keyframe never came cannot be shown.
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

  /** True if the read media have reached the start position. */
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
