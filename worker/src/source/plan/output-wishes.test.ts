import { describe, expect, it } from "vitest";
import { wishesOf } from "./output-wishes.ts";

describe("wishesOf", () => {
  it("returns the defaults when the request sets nothing", () => {
    expect(wishesOf({})).toEqual({ volume: 100, tempo: 1, videoEncode: undefined, audioEncode: undefined });
  });

  it("multiplies the two volumes of a request", () => {
    expect(wishesOf({ Volume: 50, AudioEncodeParams: { Volume: 300 } }).volume).toBe(150);
    expect(wishesOf({ Volume: 0, AudioEncodeParams: { Volume: 300 } }).volume).toBe(0);
    expect(wishesOf({ AudioEncodeParams: { Volume: 80 } }).volume).toBe(80);
  });

  it("translates the encode parameters into names with units", () => {
    const wishes = wishesOf({
      Tempo: 1.5,
      VideoEncodeParams: { Width: 640, Height: 360, Fps: 15, BitRate: 500, Gop: 1 },
      AudioEncodeParams: { SampleRate: 44_100, Channel: 1, BitRate: 64 },
    });
    expect(wishes).toEqual({
      volume: 100,
      tempo: 1.5,
      videoEncode: { width: 640, height: 360, fps: 15, bitRateKbps: 500, gopS: 1 },
      audioEncode: { sampleRateHz: 44_100, channels: 1, bitRateKbps: 64 },
    });
  });
});
