import { RoomEmulator } from "@roomcast/dev/emulator/room-emulator";
import { mintUserSig, type Seat } from "@roomcast/shared";
import { RtmpPublisher } from "@roomcast/worker/rtmp-publisher";
import { trtcPushUrls } from "@roomcast/worker/trtc-push-address";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const SEAT: Seat = { sdkAppId: 1_400_000_001, room: { kind: "number", id: 42 }, userId: "player" };
const SECRET_KEY = "a key for tests only";
const FRAME_MS = 40;
const FRAMES = 50;

let emulator: RoomEmulator;

beforeAll(async () => {
  emulator = await RoomEmulator.start({ apps: { [SEAT.sdkAppId]: SECRET_KEY } });
});

afterAll(async () => {
  await emulator?.stop();
});

describe("RtmpPublisher in a long session", () => {
  // The limits of 24 bits (4 h 39 min) and of signed and unsigned 32-bit numbers (24 and 49 days).
  it.each([2 ** 24 - 1, 2 ** 31, 2 ** 32])("keeps timestamps rising by one frame across %i ms", async (boundaryMs) => {
    const userId = `player-${boundaryMs}`;
    const nowMs = Date.now();
    const sdkAppId = SEAT.sdkAppId;
    const userSig = await mintUserSig({ sdkAppId, userId, secretKey: SECRET_KEY, lifetimeS: 3600, nowMs });
    const hosts = { tls: false, base: emulator.rtmpUrl, baseByApp: {} };
    const { url } = trtcPushUrls({ hosts, seat: { ...SEAT, userId }, userSig });
    const publisher = new RtmpPublisher({ url });
    await publisher.start(() => Promise.resolve());
    const startMs = boundaryMs - (FRAMES / 2) * FRAME_MS;
    for (let n = 0; n < FRAMES; n += 1) {
      // An AVC tag of one NAL unit; every tenth is so large that it needs several chunks.
      const payload = Buffer.alloc(n % 10 === 0 ? 70_000 : 200);
      payload.set([n % 10 === 0 ? 0x17 : 0x27, 1, 0, 0, 0]);
      payload.writeUInt32BE(payload.length - 9, 5);
      publisher.send({ kind: "video", timestampMs: startMs + n * FRAME_MS, payload });
    }
    await publisher.stop();
    await expect
      .poll(() => emulator.rooms()[0]?.users.find((user) => user.userId === userId)?.sessions[0]?.endReason, {
        timeout: 20_000,
      })
      .toBe("left");
    const session = emulator.rooms()[0]?.users.find((user) => user.userId === userId)?.sessions[0];
    expect(session?.stream.video).toMatchObject({
      tags: FRAMES,
      firstTimestampMs: startMs,
      lastTimestampMs: startMs + (FRAMES - 1) * FRAME_MS,
      largestGapMs: FRAME_MS,
      timestampsBack: 0,
    });
  });
});
