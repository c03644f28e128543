import { RoomcastError } from "@roomcast/shared";
import { FlvDemuxer, FlvError } from "../../media/flv/flv-demuxer.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { DemuxError, type DemuxedTrack, type TrackChoice } from "../demux/demuxer.ts";
import { Interleaver } from "../demux/interleaver.ts";
import { ContainerDemuxer } from "./container-demuxer.ts";
import { fedTag } from "./fed-tag.ts";
import { Gate } from "./gate.ts";
import { announcementOf, choosePlayedTracks, isReadHere, kindsOf } from "./played-tracks.ts";
import { RecoveryPoints } from "./recovery-points.ts";
import { SegmentClock } from "./segment-clock.ts";
import type { TagFeed, TagTaker } from "./tag-feed.ts";

export interface ByteFeedOptions {
  /** The bytes of one file or stream. The iterator is returned when the feed closes. */
  readonly body: AsyncIterable<Buffer>;
  readonly format: "flv" | "container";
  /** Bytes that are read before the body: the header of a file that is opened in the middle. */
  readonly head?: Buffer | undefined;
  /** The position in the source of the first picture of these bytes, ms; undefined to keep the timestamps unchanged. */
  readonly placeMs?: number | undefined;
  readonly audioTrack?: string | number | undefined;
  /** Called when a played track has a codec that this process does not read. The feed then ends. */
  readonly onForeign?: ((tracks: readonly DemuxedTrack[]) => void) | undefined;
  /** True if the bytes come in real time, so that a track waits only briefly for one that has stopped. */
  readonly live?: boolean;
  /** True if the file is known to be incomplete, so that the end of its bytes is an error. */
  readonly endIsCut?: boolean | undefined;
  /** True if the end of the bytes is a loss of the stream. */
  readonly endIsLoss: boolean;
}

interface ByteReader {
  push(chunk: Buffer): void;
  flush(): void;
  /** Returns true if the bytes end inside a unit. It must be called before `flush`. */
  isCut(): boolean;
}

const INTERLEAVE = { maxWaitMs: 5000, maxWaitBytes: 16 * 1024 * 1024 };
const INTERLEAVE_LIVE = { ...INTERLEAVE, maxWaitMs: 500 };

/** Gives the tags of a file or byte stream that is read from its beginning to its end. */
export class ByteFeed implements TagFeed {
  readonly #options: ByteFeedOptions;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #gate = new Gate();
  #taker: TagTaker | undefined;
  #running: Promise<void> | undefined;
  #closed = false;
  #begun = false;
  #foreign = false;

  constructor(options: ByteFeedOptions) {
    this.#options = options;
    this.#chunks = options.body[Symbol.asyncIterator]();
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
    this.#closed = true;
    this.#taker = undefined;
    this.#gate.open();
    await this.#chunks.return?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { head, format } = this.#options;
    const reader = format === "flv" ? this.#flvReader() : this.#containerReader();
    try {
      if (head !== undefined) reader.push(head);
      for (;;) {
        const { done, value } = await this.#chunks.next();
        if (this.#closed) return;
        if (done === true) break;
        reader.push(value);
        if (this.#foreign) throw new RoomcastError("FailedOperation.SourceUnsupported", "The codecs need ffmpeg.");
        await this.#gate.pass();
      }
      const isCut = this.#options.endIsCut === true || reader.isCut();
      reader.flush();
      this.#end(isCut);
    } catch (thrown) {
      if (this.#closed) return;
      reader.flush();
      this.#taker?.end({ name: "failed", error: asSourceError(thrown) });
      await this.#chunks.return?.();
    }
  }

  #end(isCut: boolean): void {
    if (isCut && this.#options.live !== true) {
      const text = "The source ends in the middle of its media: its file is incomplete. Upload it again.";
      this.#taker?.end({ name: "failed", error: new RoomcastError("FailedOperation.SourceTruncated", text) });
      return;
    }
    if (!this.#options.endIsLoss) {
      this.#taker?.end({ name: "finished" });
      return;
    }
    const error = new RoomcastError("FailedOperation.SourceLost", "The server ended the live stream.");
    this.#taker?.end({ name: "failed", error });
  }

  #flvReader(): ByteReader {
    const demuxer = new FlvDemuxer({
      read: fedTag,
      onTag: (tag) => this.#give(tag),
    });
    return { push: (chunk) => demuxer.push(chunk), flush: () => {}, isCut: () => false };
  }

  #containerReader(): ByteReader {
    const { placeMs, live = false } = this.#options;
    const waits = live ? INTERLEAVE_LIVE : INTERLEAVE;
    const interleaver = new Interleaver({ ...waits, onTag: (tag) => this.#give(tag) });
    const lane = new SegmentClock().lane("main", (tag) => interleaver.push(tag));
    if (placeMs !== undefined) lane.begin({ startMs: placeMs, discontinuity: false });
    const recovery = new RecoveryPoints();
    const demuxer = new ContainerDemuxer({
      what: () => "The source",
      onTracks: (tracks) => this.#choose(tracks, interleaver),
      onRecoveryPoint: (dtsMs) => recovery.found(dtsMs),
      onTag: (given) => {
        const tag = recovery.mark(given);
        if (placeMs === undefined) interleaver.push(tag);
        else lane.take(tag);
      },
    });
    return {
      push: (chunk) => demuxer.push(chunk),
      isCut: () => demuxer.isCut,
      flush: () => {
        demuxer.flush();
        lane.flush();
        interleaver.flush();
      },
    };
  }

  #choose(tracks: readonly DemuxedTrack[], interleaver: Interleaver): TrackChoice {
    const played = choosePlayedTracks(tracks, this.#options.audioTrack);
    if (!this.#begun && !played.tracks.every(isReadHere)) {
      this.#foreign = true;
      this.#options.onForeign?.(played.tracks);
      return { video: null, audio: null };
    }
    interleaver.expect(kindsOf(played.choice));
    this.#taker?.announce(announcementOf(played));
    return played.choice;
  }

  #give(tag: MediaTag): void {
    this.#begun ||= !tag.sequenceHeader;
    this.#taker?.take(tag);
  }
}

function asSourceError(thrown: unknown): RoomcastError {
  if (thrown instanceof DemuxError || thrown instanceof FlvError) {
    return new RoomcastError("FailedOperation.SourceNotMedia", `The source is damaged: ${thrown.message}`, {
      cause: thrown,
    });
  }
  return RoomcastError.from(thrown);
}
