import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { eventually } from "../base/eventually.test-support.ts";
import { PLAIN_AAC, sampleFlv } from "../media/flv/sample-flv.test-support.ts";
import type { MediaTag } from "../media/media-tag.ts";
import { ScriptedSource } from "../source/scripted-source.test-support.ts";
import type { Source } from "../source/source.ts";
import { mediaTags } from "../timeline/filler/filler.test-support.ts";
import { lost, type MemoryRoom, prepare } from "./room-session.test-support.ts";

const OUTAGE_MS = 12_000;
const CLIP_MS = 8_000;
/** Has a keyframe every two seconds, so that a copied source opens before the position. */
const VIDEO = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-x264-params", "bframes=0:keyint=50:scenecut=0"];

let clip: readonly MediaTag[];

beforeAll(async () => {
  clip = mediaTags(
    await sampleFlv({ seconds: CLIP_MS / 1000, fps: 25, size: "64x48", video: VIDEO, audio: PLAIN_AAC }),
  );
});

afterEach(() => void vi.restoreAllMocks());

const isHeader = ({ sequenceHeader }: MediaTag) => sequenceHeader;
const isKeyframe = ({ kind, keyframe, sequenceHeader }: MediaTag) => kind === "video" && keyframe && !sequenceHeader;

/** Returns the tags from the last keyframe at or before the position. */
function copiedFrom(startAtMs: number): MediaTag[] {
  const fromMs = clip.findLast((tag) => isKeyframe(tag) && tag.dtsMs <= startAtMs)?.dtsMs ?? 0;
  return clip.filter((tag) => isHeader(tag) || tag.dtsMs >= fromMs);
}

/** Returns tags as an encoder makes them: the position itself is a keyframe. */
function encodedFrom(startAtMs: number): MediaTag[] {
  const shiftMs = startAtMs - (clip.find(isKeyframe)?.dtsMs ?? 0);
  return clip.map((tag) => (isHeader(tag) ? tag : { ...tag, dtsMs: tag.dtsMs + shiftMs }));
}

const WAYS = {
  "a copied recording": (startAtMs: number) =>
    new ScriptedSource({ durationMs: CLIP_MS }).push(...copiedFrom(startAtMs)),
  "an encoded recording": (startAtMs: number) =>
    new ScriptedSource({ durationMs: 60_000 }).push(...encodedFrom(startAtMs)),
  "a live source": () => new ScriptedSource({ live: true, segmented: true }).push(...clip),
} satisfies Record<string, (startAtMs: number) => Source>;

function timesOf(room: MemoryRoom | undefined, kind: "audio" | "video"): number[] {
  return (room?.media ?? []).filter((media) => media.kind === kind).map(({ timestampMs }) => timestampMs);
}

describe("RoomSession whose room is lost for 12 s", () => {
  it.each(
    (["a copied recording", "an encoded recording", "a live source"] as const).flatMap((way) => [
      [way, "playing"] as const,
      [way, "paused"] as const,
    ]),
  )("shows the current picture first and nothing of the outage: %s, %s", async (way, how) => {
    const live = way === "a live source";
    const { session: played, rooms } = prepare({
      live,
      openSource: async ({ startAtMs }) => WAYS[way](startAtMs),
    });
    await eventually(() => expect(rooms[0]?.pictures()).toBeGreaterThan(20));
    if (how === "paused") await played.change({ IsPause: true });
    const now = performance.now.bind(performance);
    vi.spyOn(performance, "now").mockImplementation(() => now() + OUTAGE_MS);
    rooms[0]?.onEnded?.(lost("RoomLost"));
    await eventually(() => expect(rooms[1]?.pictures()).toBeGreaterThan(20));
    played.stop("now");
    await played.run();

    const [header, picture] = rooms[1]?.media.filter(({ kind }) => kind === "video") ?? [];
    expect([header?.payload[1], picture?.payload[0], picture?.payload[1]]).toEqual([0, 0x17, 1]);
    const lastMs = Math.max(...timesOf(rooms[0], "video"));
    const [firstPictureMs = 0] = timesOf(rooms[1], "video");
    const [firstSoundMs = 0] = timesOf(rooms[1], "audio");
    expect(firstPictureMs - lastMs).toBeGreaterThanOrEqual(OUTAGE_MS - 100);
    expect(Math.abs(firstSoundMs - firstPictureMs)).toBeLessThan(500);
  });
});
