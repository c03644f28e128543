import { mintUserSig } from "@roomcast/shared";
import { afterEach, describe, expect, it, vi } from "vitest";
import { RoomEmulator } from "./room-emulator.ts";
import type { SessionReport } from "./room-report.ts";
import type { RoomRules } from "./room-rules.ts";
import { RtmpTestClient } from "./rtmp-test-client.ts";

const SDK_APP_ID = 1_400_000_001;
const OTHER_APP_ID = 1_400_000_002;
const SECRET_KEY = "key-of-the-emulated-app";
const STARTED = "NetStream.Publish.Start";

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

/** Waits longer than the default second, for a busy machine. */
function eventually(assertion: () => void): Promise<void> {
  return vi.waitFor(assertion, { timeout: 15_000 });
}

async function room(rules: Partial<RoomRules> = {}): Promise<RoomEmulator> {
  const emulator = await RoomEmulator.start({ apps: { [SDK_APP_ID]: SECRET_KEY, [OTHER_APP_ID]: SECRET_KEY }, rules });
  cleanUps.push(() => emulator.stop());
  return emulator;
}

interface Push {
  readonly roomId?: string;
  readonly userId?: string;
  readonly sdkAppId?: number;
  readonly extra?: string;
  readonly chunkBytes?: number;
}

async function push(emulator: RoomEmulator, options: Push = {}): Promise<RtmpTestClient> {
  const { roomId = "class_1", userId = "teacher", sdkAppId = SDK_APP_ID, extra = "", chunkBytes = 1360 } = options;
  const userSig = await mintUserSig({ sdkAppId, userId, secretKey: SECRET_KEY, lifetimeS: 3600, nowMs: Date.now() });
  const client = await RtmpTestClient.connect(emulator.rtmpUrl);
  cleanUps.push(() => client.destroy());
  client.publish(`${roomId}?sdkappid=${sdkAppId}&userid=${userId}&usersig=${userSig}${extra}`, "push", chunkBytes);
  return client;
}

async function entered(emulator: RoomEmulator, options: Push = {}): Promise<RtmpTestClient> {
  const client = await push(emulator, options);
  await eventually(() => expect(client.statuses).toMatchObject([{ code: STARTED }]));
  return client;
}

function sessions(emulator: RoomEmulator): SessionReport[] {
  return emulator.rooms().flatMap(({ users }) => users.flatMap((user) => user.sessions));
}

/** Returns a picture with this composition time. */
function picture(compositionMs: number, keyframe = false): Buffer {
  const body = Buffer.alloc(32);
  body.set([keyframe ? 0x17 : 0x27, 1]);
  body.writeIntBE(compositionMs, 2, 3);
  return body;
}

describe("RoomEmulator's rules", () => {
  describe("for a push that TRTC's documents exclude", () => {
    it("cut the connection some time after the first B-frame, without a status message", async () => {
      const emulator = await room({ bFramesEndAfterMs: 50 });
      const client = await entered(emulator);
      for (const composition of [80, 160, 0, 80]) client.sendVideo(picture(composition, composition === 80));
      await client.closed;
      expect(sessions(emulator)).toMatchObject([{ endReason: "b-frames" }]);
      expect(client.statuses).toHaveLength(1);
    });

    it("allow composition times when all pictures are shown in their order", async () => {
      const emulator = await room({ bFramesEndAfterMs: 0 });
      const client = await entered(emulator);
      for (let count = 0; count < 10; count += 1) client.sendVideo(picture(80, count === 0));
      await eventually(() => expect(sessions(emulator)[0]?.stream.video?.tags).toBe(10));
      expect(sessions(emulator)).toMatchObject([{ endReason: null, stream: { video: { reorderedFrames: 0 } } }]);
    });

    it.each([
      ["by its FourCC", "91687663310000000000"],
      ["by its number", "1c0100000000"],
    ])("reject H.265 that is named %s", async (_what, hex) => {
      const emulator = await room();
      const client = await entered(emulator);
      client.sendVideo(Buffer.from(hex, "hex"));
      await client.closed;
      expect(sessions(emulator)).toMatchObject([{ endReason: "unsupported-codec" }]);
      expect(client.statuses.at(-1)).toMatchObject({ level: "error", code: "NetStream.Publish.Rejected" });
    });

    it("refuse a push whose chunks are too large", async () => {
      const emulator = await room();
      const client = await push(emulator, { chunkBytes: 60_000 });
      await client.closed;
      expect(client.statuses).toMatchObject([{ level: "error", description: expect.stringContaining("60000") }]);
      expect(emulator.report().refusals).toHaveLength(1);
      await entered(emulator, { chunkBytes: 4096 });
      await entered(await room({ maxChunkBytes: null }), { chunkBytes: 60_000 });
    });

    it("allow B-frames and H.265 when they are switched off", async () => {
      const emulator = await room({ bFramesEndAfterMs: null, refusesHevc: false });
      const client = await entered(emulator);
      for (const composition of [80, 160, 0]) client.sendVideo(picture(composition));
      client.sendVideo(Buffer.from("91687663310000000000", "hex"));
      await eventually(() => expect(sessions(emulator)[0]?.stream.video?.tags).toBe(4));
      expect(sessions(emulator)).toMatchObject([{ endReason: null }]);
    });
  });

  describe("for a UserId", () => {
    it("let a newer push replace the older one in any room of the same application", async () => {
      const emulator = await room();
      const first = await entered(emulator, { roomId: "class_1" });
      await entered(emulator, { roomId: "class_2", userId: "pupil" });
      await entered(emulator, { roomId: "class_1", sdkAppId: OTHER_APP_ID });
      expect(sessions(emulator).map(({ endReason }) => endReason)).toEqual([null, null, null]);
      await entered(emulator, { roomId: "7", extra: "&use_number_room_id=1" });
      await first.closed;
      expect(first.statuses.at(-1)).toMatchObject({ level: "error", code: "NetStream.Publish.Replaced" });
      expect(sessions(emulator).filter(({ endReason }) => endReason === "replaced")).toHaveLength(1);
    });

    it("allow a UserId in several rooms when it is not unique per application", async () => {
      const emulator = await room({ userIdPerApp: false });
      await entered(emulator, { roomId: "class_1" });
      await entered(emulator, { roomId: "class_2" });
      expect(sessions(emulator).map(({ endReason }) => endReason)).toEqual([null, null]);
    });
  });

  describe("for a refusal", () => {
    it.each([
      ["status", [{ level: "error", code: "NetStream.Publish.BadName" }]],
      ["command", [{ level: "error", code: "NetStream.Publish.BadName" }]],
      ["bare", [{ description: expect.stringContaining("room") }]],
      ["silent", []],
    ] as const)('report the refusal in the form "%s"', async (refusals, expected) => {
      const emulator = await room({ refusals });
      const client = await push(emulator, { roomId: "class-1" });
      await client.closed;
      expect(client.statuses).toMatchObject(expected);
      expect(client.statuses.some((status) => refusals === "bare" && status["code"] !== undefined)).toBe(false);
      const answer = client.heard.find(({ name }) => name === "_error");
      expect(answer?.transactionId).toBe(refusals === "command" || refusals === "bare" ? 3 : undefined);
    });
  });
});
