import { encryptedSource } from "../encrypted-source.ts";
import { type AudioTrackWish, chooseTrack, type TrackCandidate } from "../plan/track-choice.ts";
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
  /** What is added to decode times (ms) to make them positions in the presentation. */
  readonly shiftMs: number;
  /** The first sample that is played; what lies before it is hidden by an edit list. */
  readonly firstSample: number;
  /** The sample behind the last one that is played. */
  readonly endSample: number;
  /** Where the track begins and ends in the presentation, ms. */
  readonly startMs: number;
  readonly endMs: number;
  /** Which of the file's tracks it is, from 0; ffmpeg counts its streams like this. */
  readonly index: number;
  /** A sentence that says why its samples, sent as they are, would show what the file hides; undefined: they do not. */
  readonly uncopyable?: string | undefined;
}

export type VideoTrack = Timed & { readonly description: AvcDescription; readonly rotation: 0 | 90 | 180 | 270 };
export type AudioTrack = Timed & { readonly description: AacDescription };

/** What a `moov` box holds, as far as it is played. */
export interface Movie {
  /** null: the file does not say. */
  readonly durationMs: number | null;
  readonly video: VideoTrack | null;
  readonly audio: AudioTrack | null;
  /** Sentences about the choice of tracks, and why there is none of a kind where the file has some. */
  readonly choices: readonly string[];
}

export interface ParseMovieOptions {
  /** Size of the file; null: not known. */
  readonly fileBytes: number | null;
  readonly audioTrack?: AudioTrackWish | undefined;
  /** Whether the ffmpeg at hand decodes xHE-AAC; false unless given. */
  readonly decodesUsac?: boolean | undefined;
  readonly slices?: WorkSlices;
}

const SELF_CONTAINED = 1;
/** An edit that leaves out less at the end is padding. */
const END_TOLERANCE_MS = 100;
/** Encoder delay: 2112 samples at 44.1 kHz are 48 ms, HE-AAC doubles that. */
const MAX_PRIMING_MS = 200;

/**
 * Reads a movie box (ISO/IEC 14496-12, 8.2) that fills the buffer, which the tracks keep referring to.
 *
 * @param moov the box's body
 * @throws Mp4Error for what is not played here
 * @throws RoomcastError `FailedOperation.SourceUnsupported` where it is encrypted
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

/** Where all tracks of a kind are encrypted there is nothing to play. */
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
    // With B-frames it is encoded anyway; ffmpeg then leaves out what is hidden.
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
    // One offset for all frames moves the whole track; with B-frames (offsets differ) the shift is the first frame's.
    const shiftMs = emptyMs + (shownAt * 1000) / timescale;
    const endMs = emptyMs + (edit.complex ? editMs : Math.min(Math.max(0, mediaMs), editMs));
    const cutEnd = mediaMs - editMs > END_TOLERANCE_MS;
    const endSample = cutEnd ? samples.sampleAt((editMs * timescale) / 1000 - shownAt - 1) + 1 : samples.sampleCount;
    return { samples, edit, index, timescale, shiftMs, startMs, endMs, endSample };
  }
}

/** 8.7.2: the media may lie in another file, whose offsets mean nothing in this one. */
function checkDataReference(moov: Buffer, trak: Box): void {
  const minf = needBox(moov, needBox(moov, trak, "mdia"), "minf");
  const dinf = findBox(moov, minf, "dinf");
  const dref = dinf === undefined ? undefined : needBox(moov, dinf, "dref", 8);
  if (dref === undefined) return;
  for (const entry of listBoxes(moov, dref.start + 8, dref.end)) {
    const external = entry.end - entry.start < 4 || (moov.readUInt32BE(entry.start) & SELF_CONTAINED) === 0;
    if (external) throw new Mp4Error("The media lie in another file.");
  }
}

/** 8.3.2: the matrix {a b u, c d v, x y w}; a and d are cosines, b and c sines, in 16.16. */
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
      throw new Mp4Error("The picture is mirrored or turned by an odd angle.");
  }
}
