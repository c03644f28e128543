import type { MediaTag } from "../media/media-tag.ts";
import { QueuedSource } from "./queued-source.ts";
import type { SourceEnd, SourceInfo } from "./source.ts";

const FRAME_MS = 1000 / 30;
const AAC_FRAME_MS = 1024 / 48;

/** Returns a picture or a sequence header. Its first byte holds the frame type and the codec, as in FLV. */
export function videoTag(dtsMs: number, keyframe: boolean, sequenceHeader = false): MediaTag {
  const payload = Buffer.from([keyframe ? 0x17 : 0x27, sequenceHeader ? 0 : 1, 0, 0, 0, 1, 2, 3]);
  return { kind: "video", dtsMs, compositionMs: 0, keyframe, sequenceHeader, payload };
}

export function audioTag(dtsMs: number, sequenceHeader = false): MediaTag {
  const payload = Buffer.from([0xaf, sequenceHeader ? 0 : 1, 1, 2]);
  return { kind: "audio", dtsMs, compositionMs: 0, keyframe: true, sequenceHeader, payload };
}

/**
 * Returns `durationMs` of 30 fps video, with a keyframe per second, and 48 kHz AAC, in DTS order with the headers
 * first.
 */
export function scriptedTags(options: { readonly fromMs: number; readonly durationMs: number }): MediaTag[] {
  const { fromMs, durationMs } = options;
  const media: MediaTag[] = [];
  for (let n = 0; n * FRAME_MS < durationMs; n += 1)
    media.push(videoTag(fromMs + Math.round(n * FRAME_MS), n % 30 === 0));
  for (let n = 0; n * AAC_FRAME_MS < durationMs; n += 1) media.push(audioTag(fromMs + Math.round(n * AAC_FRAME_MS)));
  media.sort((a, b) => a.dtsMs - b.dtsMs);
  return [videoTag(0, true, true), audioTag(0, true), ...media];
}

/** A source whose tags a test pushes by hand. For tests. */
export class ScriptedSource extends QueuedSource {
  closed = false;
  readonly info: SourceInfo;

  constructor(info: Partial<SourceInfo> = {}) {
    super();
    this.info = {
      live: false,
      durationMs: null,
      width: 1280,
      height: 720,
      fps: 30,
      audioFormat: { sampleRateHz: 48_000, channels: 2 },
      plan: { video: "copy", audio: "copy", reasons: [] },
      ...info,
    };
  }

  push(...tags: MediaTag[]): this {
    for (const tag of tags) this.queue.push(tag);
    return this;
  }

  finish(end: SourceEnd = { name: "finished" }): this {
    this.queue.finish(end);
    return this;
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  protected override pauseReading(): void {}

  protected override resumeReading(): void {}
}
