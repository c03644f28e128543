import { RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import { ContainerDemuxer, choosePlayedTracks, isReadHere } from "../demux/container-demuxer.ts";
import { DemuxError, type DemuxedTrack, type TrackChoice } from "../demux/demuxer.ts";
import { Interleaver } from "../demux/interleaver.ts";
import { Gate } from "../feed/gate.ts";
import { RecoveryPoints } from "../feed/recovery-points.ts";
import { SegmentClock } from "../feed/segment-clock.ts";
import type { TagFeed, TagTaker } from "../feed/tag-feed.ts";
import type { MediaTag } from "../media-tag.ts";
import type { HlsPresentation } from "./hls-presentation.ts";
import type { HlsSegment, HlsTrack } from "./hls-segment.ts";

export interface HlsFeedOptions {
  readonly presentation: Pick<HlsPresentation, "segments" | "tracks" | "live">;
  /** Recorded: where to begin, ms. */
  readonly fromMs: number;
  /** A language, or a number from 1, of the sound within a variant. */
  readonly audioTrack?: string | number | undefined;
  /** The tracks that are to be played begin with codecs that are not read here; the feed ends then. */
  readonly onForeign: (tracks: readonly DemuxedTrack[]) => void;
  readonly log: Logger;
}

/** One rendition may be so far ahead of the other one, ms of media. */
const LONGEST_LEAD_MS = 4000;
/** As much of one track waits for the other one in the same segment. */
const INTERLEAVE = { maxWaitMs: 12_000, maxWaitBytes: 24 * 1024 * 1024 };
/** Garbage in one segment costs that segment; so many in a row are no stream. */
const MAX_BROKEN_SEGMENTS = 3;

/** Tags of the segments of an HLS presentation, on the clock of its playlist. */
export class HlsFeed implements TagFeed {
  readonly #options: HlsFeedOptions;
  readonly #abort = new AbortController();
  readonly #gate = new Gate();
  readonly #interleaver: Interleaver;
  /** First tags behind a discontinuity. */
  readonly #breaks = new WeakSet<MediaTag>();
  readonly #readToMs: Partial<Record<HlsTrack, number>> = {};
  #moved = Promise.withResolvers<void>();
  #taker: TagTaker | undefined;
  #running: Promise<void> | undefined;
  #foreign = false;

  constructor(options: HlsFeedOptions) {
    this.#options = options;
    this.#interleaver = new Interleaver({ ...INTERLEAVE, onTag: (tag) => this.#give(tag) });
  }

  start(taker: TagTaker): Promise<void> {
    this.#taker = taker;
    this.#running = this.#run();
    return Promise.resolve();
  }

  pause(): void {
    this.#gate.close();
  }

  resume(): void {
    this.#gate.open();
  }

  async close(): Promise<void> {
    this.#taker = undefined;
    this.#abort.abort();
    this.#gate.open();
    this.#moved.resolve();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { presentation } = this.#options;
    const clock = new SegmentClock();
    for (const track of presentation.tracks) this.#readToMs[track] = this.#options.fromMs;
    try {
      await Promise.all(presentation.tracks.map((track) => this.#play(track, clock)));
      this.#interleaver.flush();
      this.#taker?.end({ name: "finished" });
    } catch (thrown) {
      if (this.#abort.signal.aborted) return;
      // The other rendition is of no use alone.
      this.#abort.abort();
      this.#interleaver.flush();
      this.#taker?.end({ name: "failed", error: RoomcastError.from(thrown) });
    }
  }

  async #play(track: HlsTrack, clock: SegmentClock): Promise<void> {
    const { presentation, fromMs, log } = this.#options;
    const { signal } = this.#abort;
    let segment: HlsSegment | undefined;
    const lane = clock.lane(track, (tag, breaks) => {
      if (breaks) this.#breaks.add(tag);
      if (!tag.sequenceHeader) this.#moveTo(track, tag.dtsMs);
      this.#interleaver.push(tag);
    });
    const recovery = new RecoveryPoints();
    const demuxer = new ContainerDemuxer({
      what: () => `Segment ${segment?.sequence} of the HLS playlist (${segment?.url})`,
      onTracks: (tracks) => this.#choose(track, tracks, clock.begun),
      onRecoveryPoint: (dtsMs) => recovery.found(dtsMs),
      onTag: (tag) => lane.take(recovery.mark(tag)),
    });
    let broken = 0;
    let init: Buffer | null = null;
    for await (segment of presentation.segments(track, { fromMs, signal })) {
      if (segment.discontinuity || segment.init !== init) demuxer.beginPart();
      lane.begin(segment);
      try {
        if (segment.init !== null && segment.init !== init) demuxer.push(segment.init);
        init = segment.init;
        await this.#read(segment, demuxer, track);
        lane.flush();
        broken = 0;
      } catch (thrown) {
        broken += 1;
        if (!isBroken(thrown) || broken > MAX_BROKEN_SEGMENTS || !clock.begun) throw asSourceError(thrown);
        log.warn({ segment: segment.sequence, err: thrown }, "A segment cannot be read and is left out.");
        demuxer.beginPart();
        lane.breakHere();
      }
      this.#moveTo(track, segment.startMs + segment.durationMs);
    }
    this.#moveTo(track, Number.POSITIVE_INFINITY);
  }

  async #read(segment: HlsSegment, demuxer: ContainerDemuxer, track: HlsTrack): Promise<void> {
    for await (const chunk of segment.open(this.#abort.signal)) {
      demuxer.push(chunk);
      await this.#gate.pass();
      await this.#untilOtherFollows(track);
      if (this.#foreign) throw new RoomcastError("FailedOperation.SourceUnsupported", "The codecs need ffmpeg.");
    }
    demuxer.flush();
  }

  /** Sound and picture of two playlists are read side by side. */
  async #untilOtherFollows(track: HlsTrack): Promise<void> {
    const other = track === "main" ? "audio" : "main";
    for (;;) {
      const otherMs = this.#readToMs[other];
      const ownMs = this.#readToMs[track];
      if (otherMs === undefined || ownMs === undefined || ownMs - otherMs < LONGEST_LEAD_MS) return;
      await this.#moved.promise;
      if (this.#abort.signal.aborted) return;
    }
  }

  #moveTo(track: HlsTrack, toMs: number): void {
    if (toMs <= (this.#readToMs[track] ?? 0)) return;
    this.#readToMs[track] = toMs;
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }

  #choose(track: HlsTrack, tracks: readonly DemuxedTrack[], begun: boolean): TrackChoice {
    const separate = this.#options.presentation.tracks.length > 1;
    const locked = tracks.find(({ kind, encryption }) => kind !== "other" && encryption !== undefined);
    const chosen = choosePlayedTracks(tracks, this.#options.audioTrack);
    if (chosen.video === null && chosen.audio === null && locked !== undefined) {
      const text = `The source is encrypted (${locked.encryption}): it can only be played with its licence.`;
      throw new RoomcastError("FailedOperation.SourceUnsupported", text);
    }
    const choice = {
      video: track === "main" ? chosen.video : null,
      audio: separate && track === "main" ? null : chosen.audio,
    };
    const played = tracks.filter(({ id }) => id === choice.video || id === choice.audio);
    if (!begun && played.some((each) => !isReadHere(each))) {
      this.#foreign = true;
      this.#options.onForeign(played);
      return { video: null, audio: null };
    }
    if (track === "main" && !separate) {
      this.#interleaver.expect([
        ...(choice.video === null ? [] : (["video"] as const)),
        ...(choice.audio === null ? [] : (["audio"] as const)),
      ]);
      this.#taker?.announce({
        ...(choice.video === null ? {} : { video: {} }),
        ...(choice.audio === null ? {} : { audio: true }),
      });
    }
    return choice;
  }

  #give(tag: MediaTag): void {
    if (this.#breaks.has(tag)) this.#taker?.jump(tag.kind);
    this.#taker?.take(tag);
  }
}

function isBroken(thrown: unknown): boolean {
  const notMedia = thrown instanceof RoomcastError && thrown.code === "FailedOperation.SourceNotMedia";
  return notMedia || thrown instanceof DemuxError;
}

function asSourceError(thrown: unknown): unknown {
  if (!(thrown instanceof DemuxError)) return thrown;
  return new RoomcastError("FailedOperation.SourceNotMedia", thrown.message, { cause: thrown });
}
