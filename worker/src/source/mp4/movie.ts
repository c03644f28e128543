import { encryptedSource } from "../encrypted-source.ts";
import { type AudioTrackChoice, chooseTrack, type TrackCandidate } from "../plan/track-choice.ts";
import { type Box, findBox, listBoxes, needBox } from "./box.ts";
import { type EditList, parseEditList } from "./edit-list.ts";
import { Mp4Error } from "./mp4-error.ts";
import {
  type AacDescription,
  type AvcDescription,
  parseAudioDescription,
  parseVideoDescription,
} from "./sample-description.ts";
import { SampleIndex } from "./sample-index.ts";
import { parseSampleTable } from "./sample-table.ts";
import { listTracks, parseClock, type TrackHeader } from "./track-header.ts";
import { WorkSlices } from "./work-slices.ts";

interface Timed {
  readonly samples: SampleIndex;
  /** Units of the track's clock in a second. */
  readonly timescale: number;
  /** The shift that turns decode times into positions in the presentation, ms. */
  readonly shiftMs: number;
  /** The first sample that is played. An edit list may hide earlier samples. */
  readonly firstSample: number;
  /** The sample after the last one that is played. */
  readonly endSample: number;
  /** The track's beginning and end in the presentation, ms. */
  readonly startMs: number;
  readonly endMs: number;
  /** The track's number in the file, from 0, which is also its stream index in ffmpeg. */
  readonly index: number;
  /** A sentence that says why copied samples would show parts that the file hides; undefined if they would not. */
  readonly uncopyable?: string | undefined;
}

export type VideoTrack = Timed & { readonly description: AvcDescription; readonly rotation: 0 | 90 | 180 | 270 };
export type AudioTrack = Timed & { readonly description: AacDescription };

/** The playable contents of a `moov` box. */
export interface Movie {
  /** The duration, ms, or null if no track can be played. */
  readonly durationMs: number | null;
  readonly video: VideoTrack | null;
  readonly audio: AudioTrack | null;
  /** Sentences that explain the choice of tracks, or why none of a kind can be played. */
  readonly choices: readonly string[];
}

export interface ParseMovieOptions {
  /** The size of the file, or null if it is unknown. */
  readonly fileBytes: number | null;
  readonly audioTrack?: AudioTrackChoice | undefined;
  /** True if the worker's ffmpeg decodes xHE-AAC. Default: false. */
  readonly decodesUsac?: boolean | undefined;
  readonly slices?: WorkSlices;
}

const SELF_CONTAINED = 1;
/** The largest cut at the end that is taken for padding and ignored, ms. */
const END_TOLERANCE_MS = 100;
/**
 * The longest beginning of the audio that an edit list may hide as encoder delay, ms. A delay of 2112 samples at 44.1
 * kHz is 48 ms, and HE-AAC doubles it.
 */
const MAX_PRIMING_MS = 200;

/**
 * Reads a movie box (ISO/IEC 14496-12, 8.2). The tracks keep a reference to the buffer.
 *
 * @param moov the box's body
 * @throws Mp4Error if this demuxer does not play the file
 * @throws RoomcastError `FailedOperation.SourceUnsupported` if the file is encrypted
 */
export async function parseMovie(moov: Buffer, options: ParseMovieOptions): Promise<Movie> {
  const root: Box = { type: "moov", start: 0, end: moov.length };
  if (findBox(moov, root, "mvex") !== undefined) throw new Mp4Error("The file is fragmented.");
  if (findBox(moov, root, "cmov") !== undefined) throw new Mp4Error("The file's index is compressed.");
  const clock = parseClock(moov, needBox(moov, root, "mvhd", 20));
  const tracks = listTracks(moov, root);
  const pictures = choose(tracks, "video", options);
  const sounds = choose(tracks, "audio", options);
  const reader = new TrackReader(moov, clock.timescale, options);
  const video = pictures.track === undefined ? null : await reader.video(pictures.track);
  const audio = sounds.track === undefined ? null : await reader.audio(sounds.track);
  const ends = [video, audio].flatMap((track) => track?.endMs ?? []);
  return {
    durationMs: ends.length > 0 ? Math.max(...ends) : null,
    video,
    audio,
    choices: [...pictures.reasons, ...sounds.reasons],
  };
}

type Candidate = TrackHeader & TrackCandidate;

/** Chooses the track of a kind. @throws RoomcastError if none can be played because the first one is encrypted */
function choose(tracks: readonly TrackHeader[], kind: "video" | "audio", options: ParseMovieOptions) {
  const candidates = tracks
    .filter((track) => track.kind === kind && !track.still)
    .map((track): Candidate => ({ ...track, isDefault: track.enabled, problem: problemOf(track, options) }));
  const decision = chooseTrack(candidates, kind === "audio" ? options.audioTrack : undefined);
  const [first] = candidates;
  if (decision.track === undefined && first?.encryption !== undefined) throw encryptedSource(first.encryption);
  return decision;
}

function problemOf(track: TrackHeader, { decodesUsac = false }: ParseMovieOptions): string | undefined {
  const what = track.kind === "video" ? "picture" : "sound";
  if (track.encryption !== undefined) return `The ${what} is encrypted (${track.encryption}).`;
  if (!track.usac || decodesUsac) return undefined;
  return "The sound is xHE-AAC (USAC), which this worker's ffmpeg cannot decode.";
}

class TrackReader {
  readonly #moov: Buffer;
  readonly #movieTimescale: number;
  readonly #options: ParseMovieOptions;
  readonly #slices: WorkSlices;

  constructor(moov: Buffer, movieTimescale: number, options: ParseMovieOptions) {
    this.#moov = moov;
    this.#movieTimescale = movieTimescale;
    this.#options = options;
    this.#slices = options.slices ?? new WorkSlices();
  }

  async video(track: TrackHeader): Promise<VideoTrack> {
    const description = parseVideoDescription(this.#moov, track.stbl);
    const rotation = parseRotation(this.#moov, needBox(this.#moov, track.trak, "tkhd"));
    const { samples, edit, ...timed } = await this.#timed(track);
    const { minComposition, maxComposition, sampleCount, duration } = samples;
    const hidden = edit.mediaTime - minComposition;
    const firstSample = hidden <= duration / sampleCount ? 0 : samples.sampleAt(hidden);
    // Video with B-frames is encoded anyway, and ffmpeg then leaves out the hidden pictures.
    const cut = minComposition === maxComposition && samples.syncSampleAt(firstSample) !== firstSample;
    const uncopyable = edit.complex
      ? "An edit list cuts the video or changes its speed."
      : cut
        ? "An edit list hides the video's beginning, up to the middle of a group of pictures."
        : undefined;
    return { ...timed, samples, firstSample, uncopyable, description, rotation };
  }

  async audio(track: TrackHeader): Promise<AudioTrack> {
    const description = parseAudioDescription(this.#moov, track.stbl);
    const { samples, edit, ...timed } = await this.#timed(track);
    const hiddenMs = (edit.mediaTime * 1000) / timed.timescale;
    const uncopyable = edit.complex
      ? "An edit list cuts the audio or changes its speed."
      : hiddenMs > MAX_PRIMING_MS
        ? "An edit list hides the audio's beginning."
        : undefined;
    return { ...timed, samples, firstSample: 0, uncopyable, description };
  }

  async #timed({ trak, index, stbl, timescale }: TrackHeader) {
    checkDataReference(this.#moov, trak);
    const table = parseSampleTable(this.#moov, stbl, this.#options.fileBytes);
    const samples = await SampleIndex.build(table, this.#slices);
    const edit: EditList = parseEditList(this.#moov, trak);
    const emptyMs = (edit.emptyDuration * 1000) / this.#movieTimescale;
    const shownAt = samples.minComposition - edit.mediaTime;
    const mediaMs = ((samples.duration + shownAt) * 1000) / timescale;
    const editMs = edit.duration === 0 ? Number.POSITIVE_INFINITY : (edit.duration * 1000) / this.#movieTimescale;
    const startMs = emptyMs + Math.max(0, (shownAt * 1000) / timescale);
    // If all frames have the same composition offset, it moves the whole track. With B-frames, the smallest offset is
    // used.
    const shiftMs = emptyMs + (shownAt * 1000) / timescale;
    const endMs = emptyMs + (edit.complex ? editMs : Math.min(Math.max(0, mediaMs), editMs));
    const cutEnd = mediaMs - editMs > END_TOLERANCE_MS;
    const endSample = cutEnd ? samples.sampleAt((editMs * timescale) / 1000 - shownAt - 1) + 1 : samples.sampleCount;
    return { samples, edit, index, timescale, shiftMs, startMs, endMs, endSample };
  }
}

/** Refuses media in another file (8.7.2), whose offsets do not apply to this file. */
function checkDataReference(moov: Buffer, trak: Box): void {
  const minf = needBox(moov, needBox(moov, trak, "mdia"), "minf");
  const dinf = findBox(moov, minf, "dinf");
  const dref = dinf === undefined ? undefined : needBox(moov, dinf, "dref", 8);
  if (dref === undefined) return;
  for (const entry of listBoxes(moov, dref.start + 8, dref.end)) {
    const external = entry.end - entry.start < 4 || (moov.readUInt32BE(entry.start) & SELF_CONTAINED) === 0;
    if (external) throw new Mp4Error("The media are in another file.");
  }
}

/**
 * Reads the rotation from the matrix {a b u, c d v, x y w} of 8.3.2. The fields a and d are cosines, b and c are sines,
 * in 16.16 fixed point.
 */
function parseRotation(moov: Buffer, tkhd: Box): 0 | 90 | 180 | 270 {
  const at = tkhd.start + (moov.readUInt8(tkhd.start) === 1 ? 52 : 40);
  if (at + 36 > tkhd.end) throw new Mp4Error("The box tkhd is too short.");
  const signs = [0, 4, 12, 16].map((field) => Math.sign(moov.readInt32BE(at + field))).join();
  switch (signs) {
    case "1,0,0,1":
      return 0;
    case "0,1,-1,0":
      return 90;
    case "-1,0,0,-1":
      return 180;
    case "0,-1,1,0":
      return 270;
    default:
      throw new Mp4Error("The picture is mirrored, or its angle is not a multiple of 90 degrees.");
  }
}
