import { expect, it } from "vitest";
import { judgePullStatus } from "./pull-status.ts";

it.each([
  ["status", "NetStream.Play.Start", "started"],
  ["status", "NetStream.Play.Reset", "told"],
  ["status", "NetStream.Play.PublishNotify", "started"],
  ["error", "NetStream.Play.StreamNotFound", "notFound"],
  ["error", "NetConnection.Connect.InvalidApp", "notFound"],
  ["error", "NetConnection.Connect.Rejected", "refused"],
  ["error", "NetStream.Play.Failed", "refused"],
  ["error", "NetStream.Something.New", "refused"],
  ["warning", "NetStream.Play.InsufficientBW", "told"],
  ["status", "NetStream.Play.UnpublishNotify", "lost"],
  ["status", "NetStream.Play.Stop", "finished"],
  ["status", "NetStream.Play.Complete", "finished"],
] as const)("%s %s means %s to a player", (level, code, verdict) => {
  expect(judgePullStatus({ level, code })).toBe(verdict);
});

it.each([
  ["error", "NetStream.Play.StreamNotFound", "lost"],
  ["error", "NetStream.Play.Failed", "lost"],
  ["error", "NetStream.Seek.Failed", "told"],
  ["error", "", "told"],
  ["status", "NetStream.Play.Complete", "finished"],
] as const)("%s %j means %s to a player that plays", (level, code, verdict) => {
  expect(judgePullStatus({ level, code }, "playing")).toBe(verdict);
});
