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
  /** Recorded: where to begin, ms. */
  readonly fromMs: number;
  /** A language, or a number from 1, of the sound within a variant. */
  readonly audioTrack?: string | number | undefined;
  /** The tracks that are to be played begin with codecs that are not read here; the feed ends then. */
  readonly onForeign: (tracks: readonly DemuxedTrack[]) => void;
  /** How long the picture waits for sound that has a playlist of its own, ms. */
  readonly longestWaitForSoundMs?: number | undefined;
  readonly log: Logger;
}

/** One rendition may be so far ahead of the other one, ms of media. */
const LONGEST_LEAD_MS = 4000;
/** Sound in a playlist of its own is waited for so long, ms; then the picture goes on without it. */
const LONGEST_WAIT_FOR_SOUND_MS = 5000;
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
  /** Sound of a playlist of its own has stayed away: the picture goes on without it until it is there again. */
  #soundIsBehind = false;
  /** What the sound that comes again is to begin with. */
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
    // Nobody was late while both were held back.
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
      // Sound is of no use without its picture.
      this.#abort.abort();
      this.#interleaver.flush();
      this.#taker?.end({ name: "failed", error: RoomcastError.from(thrown) });
    }
  }

  /** The picture goes on where its sound is not to be had. */
  async #playSound(clock: SegmentClock): Promise<void> {
    try {
      await this.#play("audio", clock);
    } catch (thrown) {
      const final = thrown instanceof RoomcastError && thrown.code === "FailedOperation.SourceUnsupported";
      if (this.#abort.signal.aborted || this.#foreign || final) throw thrown;
      this.#options.log.warn({ err: thrown }, "The sound's own playlist gives nothing more; the picture goes on.");
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
      // What lies across two parts of one file is whole with the second one.
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
      // Waited for here and not behind a segment's last bytes: the next segment is asked for while nobody takes this one,
      // so that a server that takes its time to answer is not waited for when it is needed.
      await this.#gate.pass();
      await this.#untilOtherFollows(track);
      demuxer.push(chunk);
      if (this.#foreign) throw new RoomcastError("FailedOperation.SourceUnsupported", "The codecs need ffmpeg.");
    }
  }

  /** Sound and picture of two playlists are read side by side. */
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

  /** Whether anything is read, or goes on, while the sound is waited for. */
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
    this.#options.log.warn("The sound does not keep up with the picture, which goes on in silence until it is there.");
    this.#interleaver.expect(["video"]);
  }

  /** Sound that was left behind is heard again when it has caught up with the picture. */
  #soundIsThere(tag: MediaTag): boolean {
    if (tag.sequenceHeader) this.#soundHeader = tag;
    if (!this.#soundIsBehind) return true;
    if (tag.sequenceHeader || tag.dtsMs < (this.#readToMs.main ?? 0)) return false;
    this.#soundIsBehind = false;
    this.#options.log.info("The sound is there again.");
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

/** Whether a segment's bytes follow on those of the one before it in the same file. */
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
