import { describe, expect, it } from "vitest";
import type { DemuxedTrack } from "../demux/demuxer.ts";
import { announcementOf, choosePlayedTracks, kindsOf } from "./played-tracks.ts";

const track = (id: number, kind: DemuxedTrack["kind"], codec: string, more: Partial<DemuxedTrack> = {}) => ({
  id,
  kind,
  codec,
  ...more,
});
const H264 = track(1, "video", "h264");
const AAC = track(2, "audio", "aac", { language: "en" });
const FRENCH = track(3, "audio", "aac", { language: "fra" });
const AC3 = track(4, "audio", "ac3", { language: "de" });

describe("choosePlayedTracks", () => {
  it.each<[string, DemuxedTrack[], string | number | undefined, number | null]>([
    ["the first one that can be read in this process", [H264, AC3, AAC, FRENCH], undefined, 2],
    ["a requested language in another notation", [H264, AAC, FRENCH], "fr", 3],
    ["a requested language that only ffmpeg can read", [H264, AAC, AC3], "de", 4],
    ["a requested number", [H264, AAC, FRENCH], 2, 3],
    ["the default one when the requested one is missing", [H264, AAC, FRENCH], "zh", 2],
    ["one for ffmpeg when there is no other", [H264, AC3], undefined, 4],
    ["none when the source has none", [H264], undefined, null],
    ["one that is not encrypted", [H264, { ...AAC, encryption: "cenc" }, FRENCH], undefined, 3],
  ])("chooses as sound %s", (_what, tracks, wish, audio) => {
    expect(choosePlayedTracks(tracks, wish).choice).toEqual({ video: 1, audio });
  });

  it("lists the audio tracks when the requested one is missing", () => {
    const { reasons } = choosePlayedTracks([H264, AAC, FRENCH], "zh");
    expect(reasons).toEqual(['There is no audio track "zh": the source has 1 (en), 2 (fra).']);
    expect(announcementOf(choosePlayedTracks([H264, AAC], "zh")).reasons).toHaveLength(1);
  });

  it("refuses a source with encrypted tracks only and names the scheme", () => {
    const locked = [H264, AAC].map((one) => ({ ...one, encryption: "SAMPLE-AES" }));
    expect(() => choosePlayedTracks(locked)).toThrow(/SAMPLE-AES/);
  });

  it("returns the kinds of the chosen tracks", () => {
    expect(kindsOf(choosePlayedTracks([AAC]).choice)).toEqual(["audio"]);
    expect(announcementOf(choosePlayedTracks([H264, AAC]))).toEqual({ video: {}, audio: true, reasons: [] });
  });
});
