import { describe, expect, it } from "vitest";
import { type FlvOutput, FlvViewer } from "./flv-viewer.ts";
import type { ArrivedTag, TagRole } from "./stream-measure.ts";

/** An output that sends nothing by itself. */
class HeldOutput implements FlvOutput {
  written: Buffer[] = [];
  destroyed = false;
  ended = false;

  get writableLength(): number {
    return this.written.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  write(chunk: Buffer): boolean {
    this.written.push(chunk);
    return true;
  }

  /** Makes the network take all bytes. */
  drain(): void {
    this.written = [];
  }

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.destroyed = true;
  }

  cork(): void {}
  uncork(): void {}

  /** The first bytes of the tag bodies that wait, after the file header. */
  get bodies(): number[] {
    const bytes = Buffer.concat(this.written);
    const bodies: number[] = [];
    const start = bytes.toString("latin1", 0, 3) === "FLV" ? 13 : 0;
    for (let at = start; at < bytes.length; at += 15 + bytes.readUIntBE(at + 1, 3)) bodies.push(bytes[at + 11] ?? -1);
    return bodies;
  }
}

const tag = (mark: number, bytes = 10, timestampMs = 0): ArrivedTag => ({
  kind: "video",
  timestampMs,
  payload: Buffer.alloc(bytes, mark),
});

const HEADERS = { video: tag(1), audio: undefined };
const MEGABYTE = 1024 * 1024;

function viewerOf(output: HeldOutput) {
  const viewer = new FlvViewer(output);
  return (mark: number, role: TagRole, bytes?: number) => viewer.send(tag(mark, bytes), role, HEADERS);
}

describe("FlvViewer", () => {
  it("begins a new viewer with the sequence headers and the whole group of pictures", () => {
    const output = new HeldOutput();
    const viewer = new FlvViewer(output);
    viewer.begin(HEADERS, [tag(2), tag(3)]);
    viewer.send(tag(4), "frame", HEADERS);
    expect(output.bodies).toEqual([1, 2, 3, 4]);
  });

  it("lets a viewer without a group wait for the next keyframe", () => {
    const output = new HeldOutput();
    const send = viewerOf(output);
    send(2, "frame");
    send(3, "keyframe");
    send(4, "frame");
    expect(output.bodies).toEqual([1, 3, 4]);
  });

  it("starts a viewer at once when there is only audio", () => {
    const output = new HeldOutput();
    const viewer = new FlvViewer(output);
    viewer.send(tag(5), "frame", { video: undefined, audio: tag(4) });
    expect(output.bodies).toEqual([4, 5]);
  });

  it("skips tags for a slow viewer, and continues at a keyframe with the current headers", () => {
    const output = new HeldOutput();
    const send = viewerOf(output);
    send(2, "keyframe");
    for (let i = 0; i < 100; i++) send(3, "frame", MEGABYTE);
    expect(output.writableLength).toBeLessThan(6 * MEGABYTE);
    output.drain();
    send(4, "frame");
    send(5, "keyframe");
    send(6, "frame");
    expect(output.bodies).toEqual([1, 5, 6]);
  });

  it("drops a viewer that has no room for ten keyframes in a row", () => {
    const output = new HeldOutput();
    const send = viewerOf(output);
    send(2, "keyframe");
    for (let i = 0; i < 10; i++) send(3, "frame", MEGABYTE);
    const kept = Array.from({ length: 10 }, () => send(4, "keyframe"));
    expect(kept).toEqual([...Array.from({ length: 9 }, () => true), false]);
    expect(output.destroyed).toBe(true);
  });

  it("writes timestamps past 24 bits as FLV does, with the high byte last", () => {
    const output = new HeldOutput();
    const viewer = new FlvViewer(output);
    viewer.begin({ video: undefined, audio: undefined }, [tag(2, 1, 0x89abcdef)]);
    expect(Buffer.concat(output.written).subarray(13)).toEqual(
      Buffer.from([9, 0, 0, 1, 0xab, 0xcd, 0xef, 0x89, 0, 0, 0, 2, 0, 0, 0, 12]),
    );
  });
});
