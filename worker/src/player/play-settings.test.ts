import { describe, expect, it } from "vitest";
import { PlaySettings, settingsOf } from "./play-settings.ts";

describe("PlaySettings", () => {
  it("has the values of the request, or the source's defaults", () => {
    const asIs = { volume: 100, tempo: 1, audioTrack: undefined, maxHeight: undefined };
    expect(settingsOf({})).toEqual(asIs);
    const asked = settingsOf({ Volume: 0, Tempo: 2, AudioTrack: 2, Rendition: "720p" });
    expect(asked).toEqual({ volume: 0, tempo: 2, audioTrack: 2, maxHeight: 720 });
  });

  it("reverts a change unless a newer one has been made", () => {
    const settings = new PlaySettings(settingsOf({ AudioTrack: "en" }));
    settings.change({ AudioTrack: "de" })();
    expect(settings.now.audioTrack).toBe("en");
    const takeBack = settings.change({ AudioTrack: "fr" });
    settings.change({ Rendition: "480p" });
    takeBack();
    expect(settings.now).toMatchObject({ audioTrack: "fr", maxHeight: 480 });
  });
});
