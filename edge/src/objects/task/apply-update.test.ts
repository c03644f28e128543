import type { PushRequest, TaskUpdate } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { applyUpdate, type Playing } from "./apply-update.ts";

const NOW = 5000;
const REQUEST: PushRequest = {
  VideoSrc: ["https://a.example/1", "https://a.example/2"],
  SdkAppId: 1,
  RoomId: 1,
  UserId: "u",
  UserSig: "sig",
  Mode: "vod",
  Redis: false,
  SeekSecond: 3,
  Volume: 90,
};
const { SeekSecond: _begins, ...UNSOUGHT } = REQUEST;
const PROGRESS = {
  item: 1,
  positionMs: 7000,
  durationMs: 30_000,
  fps: 30,
  bitRateKbps: 2000,
  droppedFrames: 2,
  updatedAtMs: 1,
};
const UNSEEN = { item: 0, durationMs: null, fps: 0, bitRateKbps: 0, droppedFrames: 0, updatedAtMs: NOW };
const PLAYING: Playing = { request: REQUEST, progress: PROGRESS, paused: false };
const NEXT = "https://a.example/next";

describe("applyUpdate", () => {
  it.each<[string, TaskUpdate, Partial<Playing>]>([
    [
      "replaces the playlist by another source from its start",
      { VideoSrc: NEXT },
      { request: { ...UNSOUGHT, VideoSrc: NEXT }, progress: { ...UNSEEN, positionMs: 0 } },
    ],
    [
      "starts another source at the requested position",
      { VideoSrc: NEXT, SeekSecond: 1.5 },
      { request: { ...UNSOUGHT, VideoSrc: NEXT }, progress: { ...UNSEEN, positionMs: 1500 } },
    ],
    [
      "applies a position to the item that is played",
      { SeekSecond: 12 },
      { request: UNSOUGHT, progress: { ...PROGRESS, positionMs: 12_000, updatedAtMs: NOW } },
    ],
    ["keeps a changed volume and tempo", { Volume: 10, Tempo: 2 }, { request: { ...REQUEST, Volume: 10, Tempo: 2 } }],
    ["replaces preloads", { Preload: [NEXT] }, { request: { ...REQUEST, Preload: [NEXT] } }],
    ["keeps a pause", { IsPause: true }, { paused: true }],
  ])("%s", (_what, change, after) => {
    expect(applyUpdate(PLAYING, change, NOW)).toEqual({ ...PLAYING, ...after });
  });

  it("gives a position to a push that never played, and lets a paused one continue", () => {
    const before: Playing = { request: REQUEST, progress: null, paused: true };
    expect(applyUpdate(before, { SeekSecond: 0, IsPause: false }, NOW)).toEqual({
      request: UNSOUGHT,
      progress: { ...UNSEEN, positionMs: 0 },
      paused: false,
    });
  });
});
