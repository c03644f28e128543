import { describe, expect, it } from "vitest";
import { AcknowledgementWatch, type AcknowledgingPeer } from "./acknowledgement-watch.ts";

/** A peer that acknowledges at the requested window or at a fixed one. */
class Peer implements AcknowledgingPeer {
  writtenBytes = 3000;
  acknowledgements = 0;
  announcedWindowBytes = 0;
  gone = false;
  readonly #ownWindowBytes: number | undefined;
  #acknowledgedBytes = 3000;

  constructor(ownWindowBytes?: number) {
    this.#ownWindowBytes = ownWindowBytes;
  }

  setWindowAckSize(sizeBytes: number): void {
    this.announcedWindowBytes = sizeBytes;
  }

  take(bytes: number): void {
    this.writtenBytes += bytes;
    if (this.gone || this.writtenBytes - this.#acknowledgedBytes < this.#windowBytes) return;
    this.#acknowledgedBytes = this.writtenBytes;
    this.acknowledgements += 1;
  }

  get #windowBytes(): number {
    return this.#ownWindowBytes ?? this.announcedWindowBytes;
  }
}

/** Checks once per second while bytes are sent; @returns the second at which the peer counted as gone, or null */
function secondsUntilLost(watch: AcknowledgementWatch, peer: Peer, fromS: number, byteRates: readonly number[]) {
  for (const [index, bytes] of byteRates.entries()) {
    for (let part = 0; part < 25; part += 1) peer.take(bytes / 25);
    if (!watch.look((fromS + index + 1) * 1000)) return index + 1;
  }
  return null;
}

const seconds = (count: number, bytes: number) => Array.from({ length: count }, () => bytes);

describe("AcknowledgementWatch", () => {
  it.each([
    ["2 Mbit/s", 250_000],
    ["300 kbit/s", 37_500],
    ["a paused push", 1000],
  ])("detects a peer that is gone within ten seconds at %s", (_what, bytes) => {
    const peer = new Peer();
    const watch = new AcknowledgementWatch(peer, { timeoutMs: 8000, nowMs: 0 });
    expect(secondsUntilLost(watch, peer, 0, seconds(60, bytes))).toBeNull();
    peer.gone = true;
    const lostAfter = secondsUntilLost(watch, peer, 60, seconds(60, bytes));
    expect(lostAfter).toBeGreaterThanOrEqual(6);
    expect(lostAfter).toBeLessThanOrEqual(10);
  });

  it("detects it within ten seconds when the push is paused at the moment at which the peer goes", () => {
    const peer = new Peer();
    const watch = new AcknowledgementWatch(peer, { timeoutMs: 8000, nowMs: 0 });
    expect(secondsUntilLost(watch, peer, 0, seconds(30, 250_000))).toBeNull();
    peer.gone = true;
    expect(secondsUntilLost(watch, peer, 30, seconds(30, 1000))).toBeLessThanOrEqual(10);
  });

  it("keeps the peer while it acknowledges, however the bit rate changes", () => {
    const peer = new Peer();
    const watch = new AcknowledgementWatch(peer, { timeoutMs: 8000, nowMs: 0 });
    const rates = [250_000, 1000, 1_000_000, 0, 40_000].flatMap((bytes) => seconds(40, bytes));
    expect(secondsUntilLost(watch, peer, 0, rates)).toBeNull();
  });

  it("keeps a peer that never acknowledges", () => {
    const peer = new Peer(Number.POSITIVE_INFINITY);
    const watch = new AcknowledgementWatch(peer, { timeoutMs: 8000, nowMs: 0 });
    expect(secondsUntilLost(watch, peer, 0, seconds(120, 250_000))).toBeNull();
  });

  it("learns the window of a peer that ignores the requested one", () => {
    const peer = new Peer(2_500_000);
    const watch = new AcknowledgementWatch(peer, { timeoutMs: 8000, nowMs: 0 });
    expect(secondsUntilLost(watch, peer, 0, seconds(120, 250_000))).toBeNull();
    peer.gone = true;
    expect(secondsUntilLost(watch, peer, 120, seconds(120, 250_000))).not.toBeNull();
  });

  it("expects no acknowledgement while nothing is sent", () => {
    const peer = new Peer();
    const watch = new AcknowledgementWatch(peer, { timeoutMs: 8000, nowMs: 0 });
    expect(secondsUntilLost(watch, peer, 0, [...seconds(10, 250_000), ...seconds(120, 0)])).toBeNull();
  });

  it("keeps acknowledgements rare", () => {
    const peer = new Peer();
    const watch = new AcknowledgementWatch(peer, { timeoutMs: 8000, nowMs: 0 });
    secondsUntilLost(watch, peer, 0, seconds(60, 1_000_000));
    expect(peer.acknowledgements).toBeLessThan(60 * 20);
  });
});
