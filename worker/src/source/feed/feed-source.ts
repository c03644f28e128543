import { RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { MediaInfo } from "../../media/media-info.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import type { TranscodeFlvOptions } from "../ffmpeg/ffmpeg-source.ts";
import { MadePicture, silenceHeader } from "../made-tracks.ts";
import type { OutputWishes } from "../plan/output-wishes.ts";
import {
  copiesOrMakes,
  type Plan,
  type PlanOptions,
  plannedAudio,
  plannedPicture,
  plannedTempo,
  planPush,
  toSummary,
} from "../plan/plan.ts";
import { QueuedSource } from "../queued-source.ts";
import type { Source, SourceEnd, SourceInfo } from "../source.ts";
import type { FedTag } from "./fed-tag.ts";
import { FeedIntake } from "./feed-intake.ts";
import { firstPlan } from "./first-plan.ts";
import { KeyframeHold } from "./keyframe-hold.ts";
import { needsMatroska } from "./matroska-stream.ts";
import { RunFormat } from "./run-format.ts";
import { CopyRoute, EncodeRoute, type RunRoute } from "./run-route.ts";
import type { TagFeed } from "./tag-feed.ts";
import type { FedTracks } from "./track-probe.ts";

export interface FeedSourceOptions {
  readonly feed: TagFeed;
  /** The name of the source for texts, without secrets. */
  readonly shown: string;
  /** ffmpeg's name of the container that the feed reads: `flv`, `hls`, `mpegts`, … */
  readonly container: string;
  readonly live: boolean;
  /** True for a live source that comes in segments of some seconds. */
  readonly segmented?: boolean;
  /** The longest time that the feed waits for media, ms. After that the feed fails with the cause. */
  readonly patienceMs?: number;
  /** Null if the source is live or the duration is unknown. */
  readonly durationMs?: number | null;
  /** The start position, ms; ignored if `live`. The feed begins at this position or somewhat before it. */
  readonly startAtMs?: number;
  /**
   * True (the default) if the feed's clock gives the position. False if the clock is not continuous (joined
   * recordings): the position is then the duration of the played media.
   */
  readonly clockTellsPosition?: boolean;
  /** True if the end of the feed is a loss of the stream, not the end of a recording. */
  readonly endIsLoss?: boolean;
  readonly plan: PlanOptions;
  /** Additional reasons for the plan. */
  readonly reasons?: readonly string[];
  /** Opens a source that transcodes a stream whose format rooms do not take. */
  readonly transcodeFlv: (options: TranscodeFlvOptions) => Promise<Source>;
  readonly log: Logger;
  readonly signal?: AbortSignal | undefined;
  readonly readyTimeoutMs?: number | undefined;
}

const READY_TIMEOUT_MS = 15_000;
/**
 * The size of a live source's queue: some seconds at high rates. Until the queue is full, a live source is not held
 * back: media that wait at the server would be latency that the worker cannot see. When the queue is full, the server
 * drops media or disconnects.
 */
const LIVE_QUEUE_BYTES = 8 * 1024 * 1024;
/** The most bytes that a run may hold while it waits for the previous run. At this limit the feed is held back. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;

/**
 * Plays a feed of tags. Tags that the room takes are copied; any others go through an encoder. Tracks may come late,
 * stop, or change their format. The session keeps its picture size and audio format in all these cases.
 *
 * @throws RoomcastError `FailedOperation.Source…` if it cannot be opened; the signal's reason when that aborts.
 *   Nothing is left running after an error.
 */
export async function openFeedSource(options: FeedSourceOptions): Promise<Source> {
  options.signal?.throwIfAborted();
  const { feed, live, log, shown, signal } = options;
  const intake = new FeedIntake({
    feed,
    live,
    realTime: live && options.segmented !== true,
    startAtMs: live ? 0 : (options.startAtMs ?? 0),
    clockTellsPosition: options.clockTellsPosition,
    readyTimeoutMs: options.readyTimeoutMs ?? READY_TIMEOUT_MS,
    signal,
    shown,
    onJump: (byMs) =>
      log.info({ byMs: Math.round(byMs) }, "the source's clock has jumped; the timeline continues without a gap"),
  });
  let source: FeedSource | undefined;
  try {
    const tracks = await intake.probe();
    source = new FeedSource(options, intake, tracks);
    await source.opened;
    return source;
  } catch (error) {
    await (source?.close() ?? feed.close());
    throw error;
  }
}

class FeedSource extends QueuedSource {
  readonly info: SourceInfo;
  /** Resolves when the first picture is available. */
  readonly opened: Promise<void>;
  readonly #options: FeedSourceOptions;
  readonly #intake: FeedIntake;
  readonly #startAtMs: number;
  /** The output format that every run of the session has to fit. */
  readonly #wishes: OutputWishes;
  /**
   * The routes of the runs: the first one gives output, the last one takes input. There is at least one until the
   * source closes.
   */
  readonly #routes: RunRoute[] = [];
  #format: RunFormat;
  readonly #keyframeHold = new KeyframeHold((tag) => this.#pass(tag));
  #made: MadePicture | undefined;
  /** The kind of track whose change requires a new run. */
  #changed: "audio" | "video" | undefined;
  #feedEnd: SourceEnd | undefined;
  /** The reasons to hold the feed back: the queue, a route that waits for the previous one, or encoders of routes. */
  readonly #holds = new Set<"queue" | "waiting" | RunRoute>();
  #closed: Promise<void> | undefined;

  constructor(options: FeedSourceOptions, intake: FeedIntake, tracks: FedTracks) {
    super(undefined, options.live && options.segmented !== true ? LIVE_QUEUE_BYTES : undefined);
    this.#options = options;
    this.#intake = intake;
    this.#startAtMs = options.live ? 0 : (options.startAtMs ?? 0);
    const { plan, media, told } = firstPlan(options, intake, tracks);
    const tempo = plannedTempo(plan);
    const format = plannedAudio(media, plan);
    const picture = plannedPicture(media, plan);
    const summary = toSummary(told);
    this.info = {
      live: options.live,
      ...(options.live && options.segmented === true ? { segmented: true } : {}),
      ...(options.patienceMs === undefined ? {} : { patienceMs: options.patienceMs }),
      durationMs: options.live ? null : (options.durationMs ?? null),
      ...picture,
      audioFormat: format,
      plan: { ...summary, reasons: [...summary.reasons, ...intake.reasons, ...(options.reasons ?? [])] },
      ...(tempo === 1 ? {} : { tempo: { factor: tempo, fromMs: this.#startAtMs } }),
    };
    this.#wishes = { ...options.plan, canvas: { width: picture.width, height: picture.height }, audioFormat: format };
    this.#format = this.#formatFor(plan, media);
    const route = this.#addRoute(plan, media);
    this.opened = this.#open(route);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  protected override pauseReading(): void {
    this.#hold("queue", true);
    this.#routes[0]?.pause();
  }

  protected override resumeReading(): void {
    this.#hold("queue", false);
    this.#routes[0]?.resume();
  }

  async #close(): Promise<void> {
    this.queue.clear();
    await this.#options.feed.close();
    await Promise.all(this.#routes.splice(0).map((route) => route.close()));
  }

  async #open(route: RunRoute): Promise<void> {
    this.#intake.pipe({ take: (tag) => this.#take(tag), end: (end) => this.#end(end) });
    if (!(route instanceof EncodeRoute)) return;
    const { signal } = this.#options;
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      await Promise.race([route.ready(), aborted.promise]);
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  #take(tag: FedTag): void {
    const { live, segmented } = this.#options;
    const realTime = live && segmented !== true;
    if (realTime || this.#format.isLate("video")) this.#pass(tag);
    else this.#keyframeHold.take(tag, this.#format.headerOf("audio"));
  }

  #pass(tag: FedTag): void {
    if (this.#changed !== undefined && this.#beginsRun(tag)) this.#startRun(tag);
    const late = this.#format.isLate(tag.kind);
    const verdict = this.#changed === tag.kind ? "drop" : this.#format.judge(tag);
    if (verdict === "change") {
      this.#changed = tag.kind;
      if (this.#beginsRun(tag)) {
        this.#startRun(tag);
        this.#format.judge(tag);
        this.#write(tag);
      }
      return;
    }
    if (this.#made !== undefined) this.#makePicture(tag, late && verdict === "pass");
    if (verdict === "drop") return;
    if (late) this.#writeHeader(tag.kind);
    this.#write(tag);
  }

  /** Continues the black picture while there is no video. The first real picture ends it. */
  #makePicture(tag: FedTag, comes: boolean): void {
    if (tag.sequenceHeader) return;
    if (tag.kind === "video" && comes) {
      this.#made = undefined;
      return;
    }
    for (const made of this.#made?.tagsAt(tag.dtsMs) ?? []) this.#write(made);
  }

  #write(tag: FedTag): void {
    const route = this.#routes.at(-1);
    route?.write(tag);
    if (this.#routes.length > 1) this.#hold("waiting", (route?.heldBytes ?? 0) > MAX_WAITING_BYTES);
  }

  #writeHeader(kind: "audio" | "video"): void {
    const header = this.#intake.headers[kind];
    if (header !== undefined) this.#write(header);
  }

  /** Returns true if a new run can begin with this tag. A run with pictures begins with a keyframe. */
  #beginsRun(tag: FedTag): boolean {
    if (tag.sequenceHeader) return false;
    return tag.kind === "video" ? tag.keyframe : !this.#intake.tracks.pictureHere;
  }

  #startRun(tag: FedTag): void {
    const { live, log, plan: asked } = this.#options;
    const { audio, video, pictureHere } = this.#intake.tracks;
    const media = this.#mediaOf({ audio, video: pictureHere ? video : null });
    const plan = planPush(media, { ...asked, ...this.#wishes, live, askedLive: live });
    log.warn(
      { track: this.#changed, video: plan.video.action, audio: plan.audio.action, reasons: plan.reasons },
      "the source has changed its format; the room keeps its own",
    );
    this.#changed = undefined;
    this.#made = undefined;
    const before = this.#routes.at(-1);
    this.#format = this.#formatFor(plan, media);
    this.#addRoute(plan, media, tag.dtsMs);
    before?.finish();
    // The previous route no longer holds the feed back, because it gets no more input.
    if (before !== undefined) this.#hold(before, false);
  }

  #addRoute(plan: Plan, media: MediaInfo, fromMs?: number): RunRoute {
    const route = copiesOrMakes(plan) ? new CopyRoute() : this.#encodeRoute(plan, media, fromMs === undefined);
    this.#routes.push(route);
    if (this.#routes.length === 1) this.#attach(route);
    const encodes = route instanceof EncodeRoute;
    if (media.video !== null) this.#writeHeader("video");
    else if (!encodes) this.#made = new MadePicture(this.info);
    if (media.audio !== null) this.#writeHeader("audio");
    else if (!encodes) this.#write(silenceHeader(this.info.audioFormat, fromMs ?? 0));
    return route;
  }

  #encodeRoute(plan: Plan, media: MediaInfo, first: boolean): EncodeRoute {
    const { live, transcodeFlv, signal } = this.#options;
    const factor = plannedTempo(plan);
    // An encoded run begins exactly at the requested picture, a copied one at its keyframe.
    const trims = first && plan.video.action === "transcode" && this.#startAtMs > 0;
    const format = needsMatroska(media.video?.codec, media.audio?.codec) ? "matroska" : "flv";
    const route: EncodeRoute = new EncodeRoute({
      format,
      tracks: { audio: media.audio !== null, video: media.video !== null },
      encode: (stream) =>
        transcodeFlv({
          // A run ends with its tags, whatever the duration of the source is.
          media: { ...media, durationMs: null },
          plan,
          live,
          endsProperly: () => true,
          signal,
          format,
          stream,
          skipMs: trims ? Math.max(0, this.#startAtMs - (stream.baseMs ?? this.#startAtMs)) / factor : 0,
          upstreamFailure: () => this.#intake.failure,
        }),
      placeMs: (baseMs, encodedMs) => {
        const beginMs = trims ? Math.max(this.#startAtMs, baseMs) : baseMs;
        return this.#startAtMs + (beginMs - this.#startAtMs) / factor + encodedMs;
      },
      onFull: () => this.#hold(route, true),
      onRoom: () => this.#hold(route, false),
    });
    return route;
  }

  #attach(route: RunRoute): void {
    route.attach({
      push: (tag) => this.#give(tag),
      done: (end) => this.#routeDone(route, end),
    });
  }

  #give(tag: MediaTag): void {
    const jumps = !this.info.live && this.info.tempo === undefined && !tag.sequenceHeader;
    const positionMs = jumps ? this.#intake.positionAt(tag.dtsMs) : undefined;
    this.queue.push(positionMs === undefined || tag.positionMs !== undefined ? tag : { ...tag, positionMs });
  }

  #routeDone(route: RunRoute, end: SourceEnd | undefined): void {
    if (this.#routes[0] !== route) return;
    this.#hold(route, false);
    if (end !== undefined) {
      this.queue.finish(end);
      return;
    }
    if (this.#routes.length === 1) {
      this.queue.finish(this.#feedEnd ?? { name: "finished" });
      return;
    }
    this.#routes.shift();
    void route.close();
    this.#hold("waiting", false);
    const next = this.#routes[0];
    if (next !== undefined) this.#attach(next);
  }

  #end(end: SourceEnd): void {
    const { endIsLoss = false, shown } = this.#options;
    const lost = new RoomcastError("FailedOperation.SourceLost", `${shown} was lost: the stream ended.`);
    this.#keyframeHold.flush();
    this.#feedEnd = end.name === "finished" && endIsLoss ? { name: "failed", error: lost } : end;
    this.#routes.at(-1)?.finish();
  }

  #hold(why: "queue" | "waiting" | RunRoute, held: boolean): void {
    const before = this.#holds.size;
    if (held) this.#holds.add(why);
    else this.#holds.delete(why);
    if (before === 0 && this.#holds.size > 0) this.#options.feed.pause();
    if (before > 0 && this.#holds.size === 0) this.#options.feed.resume();
  }

  #formatFor(plan: Plan, media: MediaInfo): RunFormat {
    const track = (kind: "audio" | "video") => {
      return { codec: media[kind]?.codec ?? null, header: this.#intake.headers[kind]?.payload };
    };
    return new RunFormat({ plan, wishes: this.#wishes, video: track("video"), audio: track("audio") });
  }

  #mediaOf(tracks: Pick<MediaInfo, "audio" | "video">): MediaInfo {
    return { container: this.#options.container, durationMs: this.#options.durationMs ?? null, ...tracks };
  }
}
