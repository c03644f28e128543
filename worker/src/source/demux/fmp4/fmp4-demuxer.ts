import { CodecError } from "../../../media/codec/codec-error.ts";
import { Mp4Error } from "../../mp4/mp4-error.ts";
import { DemuxError, type Demuxer, type DemuxerOptions } from "../demuxer.ts";
import { FragmentData } from "./fragment-data.ts";
import { type FragmentedTrack, parseInitSegment } from "./init-segment.ts";
import type { MediaLane, SampleTaker } from "./media-lane.ts";
import { parseMovieFragment } from "./movie-fragment.ts";
import { PictureSamples } from "./picture-samples.ts";
import { SoundSamples } from "./sound-samples.ts";
import { TopBoxReader } from "./top-box-reader.ts";

/**
 * Reads fragmented MP4 (ISO/IEC 14496-12, 8.8; CMAF): an init segment, then fragments, or a whole file from its front.
 * After a flush positions begin at 0 again, so that each segment may be a separate file.
 */
export class Fmp4Demuxer implements Demuxer {
  readonly #options: DemuxerOptions;
  readonly #boxes = new TopBoxReader({
    onIndex: (type, box, position) => (type === "moov" ? this.#readInit(box) : this.#readFragment(box, position)),
    onData: (bytes, start, end, position) => this.#data.take(bytes, start, end, position),
  });
  readonly #data = new FragmentData();
  #init: Buffer | undefined;
  #lanes = new Map<number, MediaLane>();

  constructor(options: DemuxerOptions) {
    this.#options = options;
  }

  get isCut(): boolean {
    return this.#boxes.isInside;
  }

  push(chunk: Buffer): void {
    this.#boxes.push(chunk);
  }

  flush(): void {
    this.#boxes.flush();
    this.#data.flush();
  }

  #readInit(moov: Buffer): void {
    if (this.#init?.equals(moov)) return;
    this.#data.flush();
    const tracks = readTracks(moov);
    this.#init = moov;
    const choice = this.#options.onTracks(tracks.map(({ track }) => track));
    this.#lanes = new Map();
    for (const source of tracks) {
      const { id, kind } = source.track;
      const samples = id === (kind === "video" ? choice.video : choice.audio) ? this.#takerOf(source) : undefined;
      if (samples !== undefined) this.#lanes.set(id, { source, samples, nextTime: 0, delay: 0 });
    }
  }

  #takerOf({ track, record }: FragmentedTrack): SampleTaker | undefined {
    if (track.encryption !== undefined) return undefined;
    if (track.codec === "h264") return new PictureSamples(this.#options, record);
    return track.codec === "aac" && record !== null ? new SoundSamples(this.#options, record) : undefined;
  }

  /** Reads the index of a fragment. A fragment with a broken index is skipped. */
  #readFragment(moof: Buffer, position: number): void {
    this.#data.flush();
    try {
      this.#data.expect(parseMovieFragment(moof, position, this.#lanes));
    } catch (thrown) {
      if (!(thrown instanceof Mp4Error)) throw thrown;
    }
  }
}

function readTracks(moov: Buffer): readonly FragmentedTrack[] {
  try {
    return parseInitSegment(moov);
  } catch (thrown) {
    if (thrown instanceof Mp4Error || thrown instanceof CodecError)
      throw new DemuxError(thrown.message, { cause: thrown });
    throw thrown;
  }
}
