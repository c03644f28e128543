import { RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { MediaTag } from "../../media/media-tag.ts";
import { DemuxError, type DemuxedTrack, type TrackChoice } from "../demux/demuxer.ts";
import { Interleaver } from "../demux/interleaver.ts";
import { ContainerDemuxer } from "../feed/container-demuxer.ts";
import { Gate } from "../feed/gate.ts";
import { announcementOf, choosePlayedTracks, isReadHere, kindsOf } from "../feed/played-tracks.ts";
import { RecoveryPoints } from "../feed/recovery-points.ts";
import { SegmentClock } from "../feed/segment-clock.ts";
import type { TagFeed, TagTaker } from "../feed/tag-feed.ts";
import type { HlsPresentation } from "./hls-presentation.ts";
import type { HlsSegment, HlsTrack } from "./hls-segment.ts";

export interface HlsFeedOptions {
  readonly presentation: Pick<HlsPresentation, "segments" | "tracks" | "live">;
  /** The position at which a recorded stream begins, ms. */
  readonly fromMs: number;
  /** The wanted audio track within the variant: its language, or its number from 1. */
  readonly audioTrack?: string | number | undefined;
  /** Called if the stream begins with codecs that this process does not read. The feed then ends. */
  readonly onForeign: (tracks: readonly DemuxedTrack[]) => void;
  /** The longest time for which video waits for audio from a separate playlist, ms. */
  readonly longestWaitForSoundMs?: number | undefined;
  readonly log: Logger;
}

/** The most media by which one rendition may be read ahead of the other one, in ms. */
const LONGEST_LEAD_MS = 4000;
/** The time for which video waits for audio from a separate playlist before it continues alone, ms. */
const LONGEST_WAIT_FOR_SOUND_MS = 5000;
/** The limits for tags of one track that wait for the other track of the same segment. */
const INTERLEAVE = { maxWaitMs: 12_000, maxWaitBytes: 24 * 1024 * 1024 };
/** The most broken segments in a row that are left out. After more of them, the source ends. */
const MAX_BROKEN_SEGMENTS = 3;

/** Reads the segments of an HLS presentation as tags whose timestamps follow the playlist's clock. */
export class HlsFeed implements TagFeed {
  readonly #options: HlsFeedOptions;
  readonly #abort = new AbortController();
  readonly #gate = new Gate();
  readonly #interleaver: Interleaver;
  /** The tags that are the first of their track after a discontinuity. */
  readonly #breaks = new WeakSet<MediaTag>();
  readonly #readToMs: Partial<Record<HlsTrack, number>> = {};
  #moved = Promise.withResolvers<void>();
  /** True while audio from a separate playlist is late, and video continues without it. */
  #soundIsBehind = false;
  /** The last sequence header of the audio. Late audio must begin with it. */
  #soundHeader: MediaTag | undefined;
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
    // Time in which both renditions were paused does not count as being late.
    this.#wake();
  }

  async close(): Promise<void> {
    this.#taker = undefined;
    this.#abort.abort();
    this.#gate.open();
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { presentation } = this.#options;
    const clock = new SegmentClock();
    for (const track of presentation.tracks) this.#readToMs[track] = this.#options.fromMs;
    try {
      await Promise.all(
        presentation.tracks.map((track) => (track === "main" ? this.#play(track, clock) : this.#playSound(clock))),
      );
      this.#interleaver.flush();
      this.#taker?.end({ name: "finished" });
    } catch (thrown) {
      if (this.#abort.signal.aborted) return;
      // If one rendition has failed, the other one stops too.
      this.#abort.abort();
      this.#interleaver.flush();
      this.#taker?.end({ name: "failed", error: RoomcastError.from(thrown) });
    }
  }

  /** Plays a separate audio playlist. If that playlist fails, video continues alone. */
  async #playSound(clock: SegmentClock): Promise<void> {
    try {
      await this.#play("audio", clock);
    } catch (thrown) {
      const final = thrown instanceof RoomcastError && thrown.code === "FailedOperation.SourceUnsupported";
      if (this.#abort.signal.aborted || this.#foreign || final) throw thrown;
      this.#options.log.warn(
        { err: thrown },
        "The audio playlist cannot be read any further; video continues without it.",
      );
      this.#leaveSoundBehind();
      this.#moveTo("audio", Number.POSITIVE_INFINITY);
    }
  }

  async #play(track: HlsTrack, clock: SegmentClock): Promise<void> {
    const { presentation, fromMs, log } = this.#options;
    const { signal } = this.#abort;
    let segment: HlsSegment | undefined;
    const lane = clock.lane(track, (tag, breaks) => {
      if (breaks) this.#breaks.add(tag);
      if (!tag.sequenceHeader) this.#moveTo(track, tag.dtsMs);
      if (track === "main" || this.#soundIsThere(tag)) this.#interleaver.push(tag);
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
    let before: HlsSegment | undefined;
    for await (segment of presentation.segments(track, { fromMs, signal })) {
      // A frame may lie across two adjacent ranges of one file, so the demuxer is flushed only if the ranges are not
      // adjacent.
      if (before !== undefined && before.range !== null && !continues(before, segment)) demuxer.flush();
      before = segment;
      if (segment.discontinuity || segment.init !== init) demuxer.beginPart();
      lane.begin(segment);
      try {
        if (segment.init !== null && segment.init !== init) demuxer.push(segment.init);
        init = segment.init;
        await this.#read(segment, demuxer, track);
        if (segment.range === null) demuxer.flush();
        lane.flush();
        broken = 0;
      } catch (thrown) {
        broken += 1;
        if (!isBroken(thrown) || broken > MAX_BROKEN_SEGMENTS || !clock.begun) throw asSourceError(thrown);
        log.warn({ segment: segment.sequence, err: thrown }, "A segment cannot be read and is left out.");
        before = undefined;
        demuxer.beginPart();
        lane.breakHere();
      }
      this.#moveTo(track, segment.startMs + segment.durationMs);
    }
    demuxer.flush();
    lane.flush();
    this.#moveTo(track, Number.POSITIVE_INFINITY);
  }

  async #read(segment: HlsSegment, demuxer: ContainerDemuxer, track: HlsTrack): Promise<void> {
    for await (const chunk of segment.open(this.#abort.signal)) {
      // The feed waits here and not after a segment's last bytes, so that the next segment is requested even during a
      // pause. A server that answers slowly then does not delay that segment when it is needed.
      await this.#gate.pass();
      await this.#untilOtherFollows(track);
      demuxer.push(chunk);
      if (this.#foreign) throw new RoomcastError("FailedOperation.SourceUnsupported", "The codecs need ffmpeg.");
    }
  }

  /**
   * Keeps audio and video from two playlists close together: waits while this track is too far ahead of the other one.
   * Video waits for audio only for a limited time.
   */
  async #untilOtherFollows(track: HlsTrack): Promise<void> {
    const other = track === "main" ? "audio" : "main";
    for (;;) {
      const otherMs = this.#readToMs[other];
      const ownMs = this.#readToMs[track];
      if (otherMs === undefined || ownMs === undefined || ownMs - otherMs < LONGEST_LEAD_MS) return;
      if (track === "audio") await this.#moved.promise;
      else if (this.#soundIsBehind) return;
      else if (!(await this.#movesInTime()) && !this.#gate.isClosed) this.#leaveSoundBehind();
      if (this.#abort.signal.aborted) return;
    }
  }

  /**
   * Returns true if a rendition moves on, or the feed is resumed, before the time for which video waits for audio is
   * over.
   */
  async #movesInTime(): Promise<boolean> {
    const late = Promise.withResolvers<boolean>();
    const timer = setTimeout(
      () => late.resolve(false),
      this.#options.longestWaitForSoundMs ?? LONGEST_WAIT_FOR_SOUND_MS,
    );
    const moved = this.#moved.promise.then(() => true);
    return await Promise.race([moved, late.promise]).finally(() => clearTimeout(timer));
  }

  #leaveSoundBehind(): void {
    if (this.#soundIsBehind) return;
    this.#soundIsBehind = true;
    this.#options.log.warn("Audio does not keep up with video, which continues in silence until audio has caught up.");
    this.#interleaver.expect(["video"]);
  }

  /** Returns true if the audio tag can be played: audio is not late, or it has now caught up with video. */
  #soundIsThere(tag: MediaTag): boolean {
    if (tag.sequenceHeader) this.#soundHeader = tag;
    if (!this.#soundIsBehind) return true;
    if (tag.sequenceHeader || tag.dtsMs < (this.#readToMs.main ?? 0)) return false;
    this.#soundIsBehind = false;
    this.#options.log.info("Audio has caught up with video.");
    if (this.#soundHeader !== undefined) this.#interleaver.push(this.#soundHeader);
    return true;
  }

  #moveTo(track: HlsTrack, toMs: number): void {
    if (toMs <= (this.#readToMs[track] ?? 0)) return;
    this.#readToMs[track] = toMs;
    this.#wake();
  }

  #wake(): void {
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }

  #choose(track: HlsTrack, tracks: readonly DemuxedTrack[], begun: boolean): TrackChoice {
    const separate = this.#options.presentation.tracks.length > 1;
    const wanted = tracks.filter(({ kind }) => !separate || (kind === "audio") === (track === "audio"));
    const played = choosePlayedTracks(wanted, separate ? undefined : this.#options.audioTrack);
    if (!begun && !played.tracks.every(isReadHere)) {
      this.#foreign = true;
      this.#options.onForeign(played.tracks);
      return { video: null, audio: null };
    }
    if (!separate) {
      this.#interleaver.expect(kindsOf(played.choice));
      this.#taker?.announce(announcementOf(played));
    }
    return played.choice;
  }

  #give(tag: MediaTag): void {
    if (this.#breaks.has(tag)) this.#taker?.jump(tag.kind);
    this.#taker?.take(tag);
  }
}

/** Returns true if a segment's bytes directly follow those of the previous segment in the same file. */
function continues(before: HlsSegment, { url, range, discontinuity }: HlsSegment): boolean {
  return !discontinuity && url === before.url && range !== null && range.start === (before.range?.end ?? 0) + 1;
}

function isBroken(thrown: unknown): boolean {
  const notMedia = thrown instanceof RoomcastError && thrown.code === "FailedOperation.SourceNotMedia";
  return notMedia || thrown instanceof DemuxError;
}

function asSourceError(thrown: unknown): unknown {
  if (!(thrown instanceof DemuxError)) return thrown;
  return new RoomcastError("FailedOperation.SourceNotMedia", thrown.message, { cause: thrown });
}
