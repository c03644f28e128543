import { expect } from "vitest";
import { parseAvcConfig } from "../../media/codec/avc-config.ts";
import { videoInfoOf } from "../../media/codec/track-info.ts";
import { tagDataOffset } from "../../media/flv/flv-tag.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { readAacInfo } from "../feed/track-probe.ts";
import type { Source, SourceEnd } from "../source.ts";
import { media } from "../sources.test-support.ts";
import { CLIP, LATE_MS, TRIMMED_MS } from "./clip-shelf.test-support.ts";
import type { Composition } from "./composition.test-support.ts";
import { type Watched, watch } from "./watched.test-support.ts";

const FRAME_MS = 1000 / CLIP.fps;
const FRAMES_A_PIECE = CLIP.segmentSeconds * CLIP.fps;
/** The largest change of brightness when a picture is encoded again. */
const LUMA_TOLERANCE = 5;
/** A level between the tone of the clips, near 2900, and silence. */
const LOUD = 700;
/** Sound and picture are cut at their own frames, so they may overlap at a joint by this, ms. */
const OVERLAP_MS = 100;
/** The largest luma of a made picture, in full or in limited range. */
const BLACK = 18;

/** Returns the error code with which a source of this composition fails, or null if it plays completely. Pure. */
export function predictedFailure({ trouble, container, index, ranges }: Composition): string | null {
  switch (trouble) {
    case "404":
    case "key is gone":
    case "all segments are gone":
      return "FailedOperation.SourceNotFound";
    case "403":
      return "FailedOperation.SourceForbidden";
    case "a web page instead":
      return "FailedOperation.SourceNotMedia";
    case "a DASH manifest instead":
    case "SAMPLE-AES":
      return "FailedOperation.SourceUnsupported";
    default:
  }
  const isMp4 = container === "mp4" || container === "mov";
  if (isMp4 && index === "at the end" && ranges === "ignored") return "FailedOperation.SourceUnsupported";
  return trouble === "cut short" ? "FailedOperation.SourceTruncated" : null;
}

interface Expected {
  /** The brightness of each picture of the source from the start position on. */
  readonly lumas: readonly number[];
  readonly durationMs: number;
  /** The time until which a made picture is shown, ms. */
  readonly pictureFromMs: number;
  readonly soundFromMs: number;
  /** The number of joints between pieces that do not continue each other. */
  readonly joints: number;
}

function expectedOf(composition: Composition, clipLumas: readonly number[]): Expected {
  const { start, hls } = composition;
  const whole = { durationMs: CLIP.seconds * 1000, pictureFromMs: 0, soundFromMs: 0, joints: 0 };
  if (hls !== null) {
    const there = hls.pieces.filter((piece) => piece.there === "yes");
    const lumas = there.flatMap(({ number }) =>
      clipLumas.slice(number * FRAMES_A_PIECE, (number + 1) * FRAMES_A_PIECE),
    );
    const joints = there.slice(1).filter(({ clip, number }, at) => {
      const before = there[at];
      return before?.clip !== clip || before.number + 1 !== number;
    }).length;
    const durationMs = there.length * CLIP.segmentSeconds * 1000;
    if (start === "together") return { ...whole, lumas, durationMs, joints };
  }
  switch (start) {
    case "sound 1.5 s late":
      return { ...whole, lumas: clipLumas, soundFromMs: LATE_MS };
    case "picture 1.5 s late": {
      const frames = Math.ceil((CLIP.seconds * 1000 - LATE_MS) / FRAME_MS);
      return { ...whole, lumas: clipLumas.slice(0, frames), pictureFromMs: LATE_MS };
    }
    case "first 1.4 s trimmed": {
      const lumas = clipLumas.slice(TRIMMED_MS / FRAME_MS);
      return { ...whole, lumas, durationMs: CLIP.seconds * 1000 - TRIMMED_MS };
    }
    default:
      return { ...whole, lumas: clipLumas };
  }
}

export interface PlayedSource {
  readonly source: Source;
  readonly tags: readonly MediaTag[];
  readonly end: SourceEnd;
}

export interface Tools {
  readonly ffmpegPath: string;
  /** The brightness of each picture of the plain clip. */
  readonly lumas: readonly number[];
}

/** Checks that the source was played from its start position to its end like its clean parts, which ffmpeg decoded. */
export async function expectWhole(composition: Composition, played: PlayedSource, tools: Tools): Promise<void> {
  const { source, tags, end } = played;
  if (end.name === "failed") throw end.error;
  expectOneFormat(source, tags);
  const expected = expectedOf(composition, tools.lumas);
  expectOrder(tags, expected);
  const watched = await watch(tools.ffmpegPath, tags);
  expect(watched.complaints).toBe("");
  expect(watched.pictures).toHaveLength(media(tags, "video").length);
  if (source.info.durationMs !== null && expected.joints === 0 && !isShortened(composition)) {
    expect(Math.abs(source.info.durationMs - expected.durationMs), "duration told").toBeLessThan(200);
  }
  expectPictures(composition, played, watched, expected);
  expectSound(composition, watched, expected);
}

/** Checks that no track goes back in time. Sound may overlap at joints, because the timeline drops that. */
function expectOrder(tags: readonly MediaTag[], { joints }: Expected): void {
  for (const kind of ["audio", "video"] as const) {
    const times = media(tags, kind).map(({ dtsMs }) => dtsMs);
    const back = times.slice(1).flatMap((time, at) => (time < (times[at] ?? 0) ? [(times[at] ?? 0) - time] : []));
    const overlaps = kind === "audio" ? back.filter((byMs) => byMs < OVERLAP_MS).slice(0, joints) : [];
    expect(back, `${kind} goes back in time`).toEqual(overlaps);
  }
}

/** Returns true if pieces are missing whose duration the playlist still declares. */
function isShortened({ hls }: Composition): boolean {
  return hls?.pieces.some(({ there }) => there !== "yes") === true;
}

function expectOneFormat({ info }: Source, tags: readonly MediaTag[]): void {
  const headers = tags.filter(({ sequenceHeader }) => sequenceHeader);
  const records = (kind: string) =>
    headers.filter((tag) => tag.kind === kind).map((tag) => tag.payload.subarray(tagDataOffset(tag.kind)));
  const sizes = records("video").map((record) => videoInfoOf(parseAvcConfig(record)));
  expect(new Set(sizes.map((size) => `${size.width}x${size.height}`))).toEqual(
    new Set([`${info.width}x${info.height}`]),
  );
  const { sampleRateHz, channels } = info.audioFormat;
  expect(new Set(records("audio").map((record) => shownSound(readAacInfo(record))))).toEqual(
    new Set([`${sampleRateHz} Hz, ${channels}`]),
  );
}

function shownSound(info: ReturnType<typeof readAacInfo>): string {
  return `${info?.sampleRateHz} Hz, ${info?.channels}`;
}

function expectPictures(
  { video, startAtMs }: Composition,
  { source }: PlayedSource,
  { pictures }: Watched,
  expected: Expected,
): void {
  const first = pictures[0]?.atMs ?? Number.NaN;
  const encoded = source.info.plan.video === "transcode";
  const beginsMs = startAtMs === 0 ? 0 : encoded || video === null ? startAtMs : startAtMs - (startAtMs % 1000);
  expect(Math.abs(first - beginsMs), `begins at ${first} ms, not at ${beginsMs}`).toBeLessThan(150);
  if (video === null) {
    expect(Math.max(...pictures.map(({ luma }) => luma))).toBeLessThan(BLACK);
    return;
  }
  const made = pictures.filter(({ atMs }) => atMs < expected.pictureFromMs - 100);
  for (const { luma, atMs } of made) expect(luma, `made picture at ${atMs} ms`).toBeLessThan(BLACK);
  // ffmpeg cuts a clip in decoding order, so pictures after the cut have others missing between them.
  const judgedToMs = expected.pictureFromMs === 0 ? Number.POSITIVE_INFINITY : expected.durationMs + FRAME_MS / 2;
  const real = pictures.slice(made.length).filter(({ luma, atMs }) => luma >= BLACK && atMs < judgedToMs);
  const skipped = Math.round(beginsMs / FRAME_MS);
  const allowed = encoded ? 3 + 4 * expected.joints : expected.joints;
  expectSequence(
    real.map(({ luma }) => luma),
    expected.lumas.slice(skipped),
    allowed,
  );
  const steps = real.slice(1).map(({ atMs }, at) => atMs - (real[at]?.atMs ?? 0));
  expect(Math.max(...steps), "longest time without a picture").toBeLessThan(expected.joints === 0 ? 130 : 450);
  const lastMs = real.at(-1)?.atMs ?? Number.NaN;
  const drift = Math.abs(lastMs + FRAME_MS - expected.durationMs);
  expect(drift, `the last picture is at ${lastMs} ms of ${expected.durationMs}`).toBeLessThan(
    250 + 250 * expected.joints,
  );
}

/** Checks that every picture is present and in order; the allowed number may be missing or repeated. */
function expectSequence(seen: readonly number[], expected: readonly number[], allowed: number): void {
  let at = -1;
  let odd = 0;
  for (const [number, luma] of seen.entries()) {
    const candidates = [at + 1, at, at + 2, at + 3].filter((candidate) => near(luma, expected[candidate]));
    const [next] = candidates;
    if (next === undefined) {
      const here = seen.slice(Math.max(0, number - 3), number + 4).join(", ");
      const around = `${here} where ${expected.slice(Math.max(0, at - 2), at + 5).join(", ")}`;
      expect.fail(
        `Picture ${number} of ${seen.length} is not the one that follows ${at} of ${expected.length}: ${around}.`,
      );
    }
    if (next !== at + 1) odd += 1;
    at = next;
  }
  const missing = expected.length - 1 - at;
  expect(
    odd + missing,
    `${seen.length} pictures of ${expected.length}, ${missing} missing at the end`,
  ).toBeLessThanOrEqual(allowed);
}

function near(luma: number, expected: number | undefined): boolean {
  return expected !== undefined && Math.abs(luma - expected) <= LUMA_TOLERANCE;
}

function expectSound({ audio, startAtMs }: Composition, { loudness }: Watched, expected: Expected): void {
  const loud = loudness.map((value) => value > LOUD);
  if (audio === null) {
    expect(loud).not.toContain(true);
    return;
  }
  const early = loud.slice(0, Math.max(0, expected.soundFromMs / 100 - 1));
  expect(early, "sound before its time").not.toContain(true);
  const fromMs = Math.max(startAtMs, expected.soundFromMs);
  const wanted = Math.floor((expected.durationMs - fromMs) / 100);
  const heard = loud.filter(Boolean).length;
  const aside = 3 + 4 * expected.joints;
  expect(heard, `${heard} tenths of a second with sound of ${wanted}`).toBeGreaterThanOrEqual(wanted - aside);
  expect(heard, `${heard} tenths of a second with sound of ${wanted}`).toBeLessThanOrEqual(
    wanted + aside + (startAtMs % 1000) / 100,
  );
}
