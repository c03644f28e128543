import { describe, expect, it } from "vitest";
import { judgeRoomStatus } from "./trtc-refusal.ts";

describe("judgeRoomStatus", () => {
  it.each([
    ["starting", "status", "NetStream.Publish.Start", "started"],
    ["starting", "error", "NetStream.Publish.BadName", "refused"],
    ["starting", "error", "NetStream.Publish.Denied", "refused"],
    ["starting", "error", "NetConnection.Connect.Rejected", "refused"],
    ["starting", "error", "NetStream.Publish.SomethingNew", "refused"],
    ["starting", "status", "NetStream.Something.New", "told"],
    ["starting", "warning", "NetStream.Something.New", "told"],
    ["publishing", "error", "NetStream.Publish.Replaced", "replaced"],
    ["publishing", "status", "NetStream.Unpublish.Replaced", "replaced"],
    ["publishing", "error", "NetStream.Publish.Kicked", "refused"],
    ["publishing", "error", "NetStream.Publish.Denied", "refused"],
    ["publishing", "error", "NetStream.Something.New", "lost"],
    ["publishing", "status", "NetStream.Unpublish.Success", "lost"],
    ["publishing", "status", "NetStream.Something.New", "told"],
    ["publishing", "error", "", "lost"],
  ] as const)("while %s, %s %s means %s", (phase, level, code, verdict) => {
    expect(judgeRoomStatus({ level, code }, phase)).toBe(verdict);
  });
});
