import type { SessionReport, TrackReport } from "../emulator/room-report.ts";

export interface ExpectedPush {
  /** Pictures that must have come, between these two, inclusive. */
  readonly frames: { readonly min: number; readonly max: number };
  /** A vod push ends by leaving the room, whether it has played out or was stopped tidily. */
  readonly endReason: "left";
}

/** The longest step between two timestamps that people in the room would not notice as a gap. */
const LARGEST_GAP_MS = 100;

/** The share of a clip's pictures that may be lost or repeated: 1 %. */
export function aboutFrames(frames: number): ExpectedPush["frames"] {
  return { min: Math.ceil(frames * 0.99), max: Math.floor(frames * 1.01) };
}

/**
 * Returns the problems of what a room received. The list is empty if all is right. Pure.
 *
 * @param session what the emulator measured; undefined if nobody published
 */
export function problemsOf(session: SessionReport | undefined, expected: ExpectedPush): string[] {
  if (session === undefined) return ["nobody published into the room"];
  const { video, audio } = session.stream;
  const problems = [...trackProblems("video", video), ...trackProblems("audio", audio)];
  if (video !== null) {
    const { min, max } = expected.frames;
    if (video.tags < min || video.tags > max) {
      problems.push(`${video.tags} pictures came, expected ${min === max ? min : `${min} to ${max}`}`);
    }
    if (video.bFrames > 0) problems.push(`${video.bFrames} pictures are B-frames, which a room cannot show`);
    if (video.resolutionChanges > 0) problems.push(`the size of the picture changed ${video.resolutionChanges} times`);
  }
  if (session.endReason !== expected.endReason) {
    problems.push(
      `the publisher's session ended as "${session.endReason ?? "still there"}", expected "${expected.endReason}"`,
    );
  }
  return problems;
}

function trackProblems(name: string, track: TrackReport | null): string[] {
  if (track === null || track.tags === 0) return [`no ${name} came`];
  return [
    ...(track.largestGapMs > LARGEST_GAP_MS ? [`a gap of ${track.largestGapMs} ms in the ${name}`] : []),
    ...(track.timestampsBack > 0 ? [`${name} timestamps went back ${track.timestampsBack} times`] : []),
  ];
}
