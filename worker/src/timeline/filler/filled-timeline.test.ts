import { beforeAll, describe, expect, it } from "vitest";
import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { PLAIN_AAC, PLAIN_H264, sampleFlv } from "../../media/flv/sample-flv.test-support.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import type { OutgoingMedia } from "../../publisher/publisher.ts";
import { ScriptedSource } from "../../source/scripted-source.test-support.ts";
import { Timeline } from "../timeline.ts";
import { judge, mediaTags } from "./filler.test-support.ts";
import { StreamFiller } from "./stream-filler.ts";

const TICK_MS = 20;
const START_MS = 50_000;

interface Sent extends FlvTag {
  /** True if the tag came from the source. */
  readonly real: boolean;
}

/** Plays a timeline tick by tick and records the tags that it sends. */
class Playing {
  readonly sent: Sent[] = [];
  readonly timeline = new Timeline(new StreamFiller());
  nowMs = START_MS;

  send(media: OutgoingMedia, tag: MediaTag | undefined): void {
    this.sent.push({ ...media, real: tag !== undefined });
  }

  play(durationMs: number): void {
    for (const endMs = this.nowMs + durationMs; this.nowMs < endMs; this.nowMs += TICK_MS) {
      this.timeline.advance(this.nowMs, this);
    }
  }

  track(kind: "video" | "audio"): Sent[] {
    // The second byte of a header's body is 0.
    return this.sent.filter((tag) => tag.kind === kind && tag.payload[1] !== 0);
  }
}

function largestStepMs(tags: readonly Sent[]): number {
  return Math.max(...tags.slice(1).map((tag, index) => tag.timestampMs - (tags[index]?.timestampMs ?? 0)));
}

describe("Timeline with StreamFiller, paused for two seconds and then without its source for two and a half", () => {
  let clip: readonly FlvTag[];
  const playing = new Playing();

  beforeAll(async () => {
    clip = await sampleFlv({ seconds: 3, fps: 25, video: PLAIN_H264, audio: PLAIN_AAC, size: "96x64" });
    const tags = mediaTags(clip);
    const source = new ScriptedSource().push(...tags.filter((tag) => tag.sequenceHeader || tag.dtsMs < 1800));
    playing.timeline.cutTo(source, { nowMs: playing.nowMs }, playing);
    playing.play(900);
    playing.timeline.pause();
    playing.play(2000);
    playing.timeline.resume();
    playing.play(900 + 2500);
    source.push(...tags.filter((tag) => !tag.sequenceHeader && tag.dtsMs >= 1800)).finish();
    playing.play(1400);
  });

  it("leaves no gap over 100 ms between pictures or audio frames, and its timestamps never decrease", () => {
    for (const kind of ["video", "audio"] as const) {
      const times = playing.track(kind).map((tag) => tag.timestampMs);
      expect(largestStepMs(playing.track(kind))).toBeLessThanOrEqual(100);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(times.at(-1)).toBeGreaterThan(6100);
    }
  });

  it("repeats the last picture in the gaps and shows the source's pictures unchanged after them", async () => {
    const streams = [only("video", clip), only("video", playing.sent)] as const;
    const { first: undisturbed, second: pictures, complaints } = await judge("video", streams);
    expect(complaints).toBe("");
    const sent = playing.track("video");
    expect(pictures).toHaveLength(sent.length);
    let real = 0;
    for (const [index, { md5 }] of pictures.entries()) {
      if (sent[index]?.real === true) real += 1;
      expect(md5).toBe(undisturbed[real - 1]?.md5);
    }
    expect(real).toBe(undisturbed.length);
    expect(sent.length - real).toBeGreaterThan(45);
  });

  it("sends as much sound as time passes, and ffmpeg reports no errors", async () => {
    const sounds = playing.track("audio");
    const heardMs = sounds.length * (1024 / 48);
    const lastMs = sounds.at(-1)?.timestampMs ?? 0;
    expect(Math.abs(heardMs - (lastMs - (sounds[0]?.timestampMs ?? 0)))).toBeLessThan(120);
    const { second, complaints } = await judge("audio", [only("audio", clip), only("audio", playing.sent)]);
    expect(complaints).toBe("");
    expect(second.length).toBe(sounds.length);
  });
});

function only(kind: "audio" | "video", tags: readonly FlvTag[]): FlvTag[] {
  return tags.filter((tag) => tag.kind === kind);
}
