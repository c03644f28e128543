import { describe, expect, it } from "vitest";
import { judgePullStatus } from "./pull-status.ts";

describe("judgePullStatus", () => {
  it.each([
    ["status", "NetStream.Play.Start", "started"],
    ["status", "NetStream.Play.Reset", "ignored"],
    ["status", "NetStream.Play.PublishNotify", "started"],
    ["error", "NetStream.Play.StreamNotFound", "notFound"],
    ["error", "NetConnection.Connect.InvalidApp", "notFound"],
    ["error", "NetConnection.Connect.Rejected", "refused"],
    ["error", "NetStream.Play.Failed", "refused"],
    ["error", "NetStream.Something.New", "refused"],
    ["warning", "NetStream.Play.InsufficientBW", "ignored"],
    ["status", "NetStream.Play.UnpublishNotify", "lost"],
    ["status", "NetStream.Play.Stop", "finished"],
    ["status", "NetStream.Play.Complete", "finished"],
  ] as const)("reads %s %s as %s before media is played", (level, code, verdict) => {
    expect(judgePullStatus({ level, code })).toBe(verdict);
  });

  it.each([
    ["error", "NetStream.Play.StreamNotFound", "lost"],
    ["error", "NetStream.Play.Failed", "lost"],
    ["error", "NetStream.Seek.Failed", "ignored"],
    ["error", "", "ignored"],
    ["status", "NetStream.Play.Complete", "finished"],
  ] as const)("reads %s %j as %s while media is played", (level, code, verdict) => {
    expect(judgePullStatus({ level, code }, "playing")).toBe(verdict);
  });
});
