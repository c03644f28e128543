import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { promisify } from "node:util";
import { mintUserSig, type Seat } from "@roomcast/shared";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { RoomEmulator } from "./room-emulator.ts";
import type { RoomReport, UserReport } from "./room-report.ts";
import { RtmpTestClient } from "./rtmp-test-client.ts";

const run = promisify(execFile);
const ffmpeg = (...args: string[]) => run(process.env.FFMPEG_PATH ?? "ffmpeg", ["-v", "error", ...args]);

const SDK_APP_ID = 1_400_000_001;
const SECRET_KEY = "key-of-the-emulated-app";
const SEAT: Seat = { sdkAppId: SDK_APP_ID, room: { kind: "string", id: "class_1" }, userId: "teacher" };

const CLIP = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-f", "lavfi", "-i", "sine=r=48000"];
const ENCODE = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac"];

let emulator: RoomEmulator;
let clients: RtmpTestClient[];

beforeEach(async () => {
  clients = [];
  emulator = await RoomEmulator.start({ apps: { [SDK_APP_ID]: SECRET_KEY } });
});

afterEach(async () => {
  await Promise.all(clients.map((client) => client.destroy()));
  await emulator.stop();
});

function mint(options: { userId?: string; sdkAppId?: number; secretKey?: string; nowMs?: number } = {}) {
  return mintUserSig({
    sdkAppId: SDK_APP_ID,
    userId: "teacher",
    secretKey: SECRET_KEY,
    lifetimeS: 3600,
    nowMs: Date.now(),
    ...options,
  });
}

async function streamKey(room = "class_1", extra = "", userId = "teacher"): Promise<string> {
  return `${room}?sdkappid=${SDK_APP_ID}&userid=${userId}&usersig=${await mint({ userId })}${extra}`;
}

/** Waits for a condition longer than the default second, for a busy machine. */
function eventually(assertion: () => void): Promise<void> {
  return vi.waitFor(assertion, { timeout: 15_000 });
}

async function publisher(key: string, app?: string): Promise<RtmpTestClient> {
  const client = await RtmpTestClient.connect(emulator.rtmpUrl);
  clients.push(client);
  client.publish(key, app);
  return client;
}

async function entered(key: string): Promise<RtmpTestClient> {
  const client = await publisher(key);
  await eventually(() => expect(client.statuses).toMatchObject([{ code: "NetStream.Publish.Start" }]));
  return client;
}

async function impatient(limits: { silenceMs?: number; publishWithinMs?: number }): Promise<RoomEmulator> {
  const started = await RoomEmulator.start({ apps: { [SDK_APP_ID]: SECRET_KEY }, limits });
  onTestFinished(() => started.stop());
  return started;
}

/** Sends bytes that need not be RTMP. Resolves when the emulator has closed the connection. */
async function sendRaw(rtmpUrl: string, bytes: Buffer): Promise<void> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const url = new URL(rtmpUrl);
  const socket = connect(Number(url.port), url.hostname, () => socket.write(bytes));
  socket.resume();
  socket.on("error", () => {}).on("close", () => resolve());
  await closed;
}

async function get(path: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${emulator.httpUrl}${path}`);
  return { status: response.status, body: await response.json() };
}

function kickTeacher(): Promise<Response> {
  return fetch(`${emulator.httpUrl}/rooms/class_1/users/teacher`, { method: "DELETE" });
}

function postFault(body: string, contentType = "application/json"): Promise<Response> {
  const headers = { "Content-Type": contentType };
  return fetch(`${emulator.httpUrl}/faults`, { method: "POST", headers, body });
}

async function fault(body: object): Promise<number> {
  const response = await postFault(JSON.stringify(body));
  return response.status;
}

function onlyUser(): UserReport {
  const [user] = emulator.rooms()[0]?.users ?? [];
  if (user === undefined) throw new Error("nobody has published");
  return user;
}

describe("RoomEmulator", () => {
  describe("for a push with ffmpeg", () => {
    it("reports the codecs, sizes, rates and times of the stream", async () => {
      await ffmpeg(...CLIP, "-t", "4", ...ENCODE, "-bf", "0", "-f", "flv", `${emulator.rtmpUrl}/${await streamKey()}`);
      await eventually(() => expect(onlyUser().online).toBe(false));
      expect(await get("/rooms/class_1")).toMatchObject({
        status: 200,
        body: { sdkAppId: SDK_APP_ID, kind: "string", id: "class_1", users: [{ userId: "teacher", publishes: 1 }] },
      });
      const [session] = onlyUser().sessions;
      expect(session).toMatchObject({
        endReason: "left",
        stream: {
          video: {
            codec: "h264",
            width: 320,
            height: 180,
            fps: 25,
            tags: 100,
            keyframes: 2,
            longestGopMs: 2000,
            longestGopFrames: 50,
            bFrames: 0,
            largestGapMs: 40,
            timestampsBack: 0,
            sequenceHeaders: 1,
            resolutionChanges: 0,
          },
          audio: { codec: "aac", sampleRateHz: 48_000, channels: 1, timestampsBack: 0 },
          metadata: { width: 320, framerate: 25 },
        },
      });
      // 4 s of 1024 samples at 48 kHz are 187.5 frames; the encoder adds its priming.
      expect(session?.stream.audio?.tags).toBeGreaterThanOrEqual(188);
      expect(session?.stream.audio?.tags).toBeLessThanOrEqual(190);
      expect(session?.stream.largestAvSkewMs).toBeLessThan(200);
    });

    it("accepts the push over TLS", async () => {
      const fixtures = new URL("../../../worker/src/rtmp/fixtures/", import.meta.url);
      const fixture = (name: string) => readFile(new URL(name, fixtures));
      const secure = await RoomEmulator.start({
        apps: { [SDK_APP_ID]: SECRET_KEY },
        rtmps: { key: await fixture("test-server.key.pem"), cert: await fixture("test-server.crt.pem") },
      });
      onTestFinished(() => secure.stop());
      await ffmpeg(...CLIP, "-t", "1", ...ENCODE, "-f", "flv", `${secure.rtmpsUrl}/${await streamKey()}`);
      const whole = [{ users: [{ sessions: [{ stream: { video: { tags: 25 } } }] }] }];
      await eventually(() => expect(secure.rooms()).toMatchObject(whole));
    });

    it("counts the B-frames of the stream", async () => {
      const lenient = await RoomEmulator.start({
        apps: { [SDK_APP_ID]: SECRET_KEY },
        rules: { bFramesEndAfterMs: null },
      });
      onTestFinished(() => lenient.stop());
      await ffmpeg(...CLIP, "-t", "4", ...ENCODE, "-bf", "2", "-f", "flv", `${lenient.rtmpUrl}/${await streamKey()}`);
      const user = () => lenient.rooms()[0]?.users[0];
      await eventually(() => expect(user()?.online).toBe(false));
      const video = user()?.sessions[0]?.stream.video;
      expect(video?.bFrames).toBeGreaterThan(50);
      expect(video?.reorderedFrames).toBeGreaterThan(20);
    });

    it("serves the running stream over HTTP-FLV, from a keyframe on", async () => {
      const url = `${emulator.rtmpUrl}/${await streamKey()}`;
      const push = ffmpeg("-re", ...CLIP, "-t", "60", ...ENCODE, "-bf", "0", "-f", "flv", url);
      const failed = push.then(
        () => false,
        () => true,
      );
      await eventually(() => expect(onlyUser().sessions[0]?.stream.video?.tags).toBeGreaterThan(10));
      const flv = `${emulator.httpUrl}/rooms/class_1/teacher.flv`;
      const other = await fetch(flv);
      const probe = ["-v", "error", "-of", "json", "-read_intervals", "%+#20", "-show_streams", "-show_packets", flv];
      const { stdout, stderr } = await run(process.env.FFPROBE_PATH ?? "ffprobe", probe);
      expect(stderr).toBe("");
      const { streams, packets } = JSON.parse(stdout);
      expect(streams).toContainEqual(expect.objectContaining({ codec_name: "h264", width: 320, height: 180 }));
      expect(streams).toContainEqual(expect.objectContaining({ codec_name: "aac", sample_rate: "48000" }));
      const [picture] = packets.filter((packet: { codec_type: string }) => packet.codec_type === "video");
      expect(picture.flags).toMatch(/^K/);

      expect((await kickTeacher()).status).toBe(204);
      expect(await failed).toBe(true);
      // A viewer's stream ends when the publisher's stream ends.
      const bytes = Buffer.from(await other.arrayBuffer());
      expect(bytes.toString("latin1", 0, 3)).toBe("FLV");
    });
  });

  describe("for an invalid publish", () => {
    const app = `sdkappid=${SDK_APP_ID}`;
    it.each<[string, string, () => Promise<string>]>([
      ["has no query", "NetStream.Publish.BadName", async () => "class_1"],
      ["has no UserSig", "NetStream.Publish.BadName", async () => `class_1?${app}&userid=teacher`],
      ["breaks the rules for string rooms", "NetStream.Publish.BadName", () => streamKey("class-1")],
      ["has a text as integer room", "NetStream.Publish.BadName", () => streamKey("class", "&use_number_room_id=1")],
      [
        "is for an unknown application",
        "NetStream.Publish.BadName",
        async () => `class_1?sdkappid=7&userid=teacher&usersig=${await mint({ sdkAppId: 7 })}`,
      ],
      [
        "has a garbage UserSig",
        "NetStream.Publish.Denied",
        async () => `class_1?${app}&userid=teacher&usersig=garbage`,
      ],
      [
        "has another user's UserSig",
        "NetStream.Publish.Denied",
        async () => `class_1?${app}&userid=teacher&usersig=${await mint({ userId: "pupil" })}`,
      ],
      [
        "has an expired UserSig",
        "NetStream.Publish.Denied",
        async () => `class_1?${app}&userid=teacher&usersig=${await mint({ nowMs: Date.now() - 7_200_000 })}`,
      ],
      [
        "has a UserSig of another SecretKey",
        "NetStream.Publish.Denied",
        async () => `class_1?${app}&userid=teacher&usersig=${await mint({ secretKey: "some-other-key" })}`,
      ],
    ])("refuses a publish that %s, with a reason and without showing the UserSig", async (_what, code, makeKey) => {
      const key = await makeKey();
      const client = await publisher(key);
      await client.closed;
      expect(client.statuses).toMatchObject([{ level: "error", code }]);
      expect(emulator.rooms()).toEqual([]);
      expect(emulator.report().refusals).toMatchObject([{ code, description: client.statuses[0]?.description }]);
      const userSig = new URLSearchParams(key.split("?")[1]).get("usersig") ?? SECRET_KEY;
      expect(JSON.stringify(emulator.report())).not.toContain(userSig);
    });

    it("refuses the connect when the application name is not push", async () => {
      const client = await publisher(await streamKey(), "live");
      await client.closed;
      expect(client.statuses).toMatchObject([{ level: "error", code: "NetConnection.Connect.Rejected" }]);
    });

    it("makes ffmpeg fail with the reason", async () => {
      const url = `${emulator.rtmpUrl}/class_1?${app}&userid=teacher&usersig=garbage`;
      await expect(ffmpeg(...CLIP, "-t", "4", ...ENCODE, "-f", "flv", url)).rejects.toThrow(
        "AuthFailure.InvalidUserSig",
      );
    });

    it("keeps working when a connection sends bytes that are not RTMP", async () => {
      const handshake = Buffer.concat([Buffer.from([3]), Buffer.alloc(3072)]);
      const hostile = [
        Buffer.from("GET / HTTP/1.1\r\n\r\n"),
        Buffer.concat([handshake, Buffer.alloc(512, 0xff)]),
        Buffer.concat([handshake, Buffer.from([3, 0, 0, 0, 0, 0, 9, 20, 0, 0, 0, 0, ...Buffer.alloc(9, 2)])]),
      ];
      for (const bytes of hostile) await sendRaw(emulator.rtmpUrl, bytes);
      await entered(await streamKey());
      expect(onlyUser().online).toBe(true);
    });
  });

  describe("for a seat", () => {
    it("gives the seat to the newer publisher and notifies the first", async () => {
      const first = await entered(await streamKey());
      await entered(await streamKey());
      await first.closed;
      expect(first.statuses.at(-1)).toMatchObject({ level: "error", code: "NetStream.Publish.Replaced" });
      expect(onlyUser()).toMatchObject({
        online: true,
        publishes: 2,
        replacements: 1,
        sessions: [
          { number: 1, endReason: "replaced" },
          { number: 2, endReason: null },
        ],
      });
    });

    it("keeps seats in an integer room and in the string room of the same digits apart", async () => {
      await entered(await streamKey("42"));
      await entered(await streamKey("42", "&use_number_room_id=1", "pupil"));
      expect(emulator.rooms().map((room: RoomReport) => [room.kind, room.id, room.users.length])).toEqual([
        ["number", "42", 1],
        ["string", "42", 1],
      ]);
      expect(await get("/rooms/42")).toMatchObject({ status: 409 });
      expect(await get("/rooms/42?kind=number")).toMatchObject({ status: 200, body: { kind: "number" } });
      expect(await get(`/rooms/42?kind=string&sdkappid=${SDK_APP_ID}`)).toMatchObject({ body: { kind: "string" } });
    });

    it("frees the seat when its publisher leaves, also for another publish on the same connection", async () => {
      const client = await entered(await streamKey());
      client.command("deleteStream");
      await eventually(() => expect(onlyUser().sessions).toMatchObject([{ endReason: "left" }]));
      client.publish(await streamKey());
      await eventually(() => expect(onlyUser()).toMatchObject({ online: true, publishes: 2, replacements: 0 }));
      client.sendPicture();
      await eventually(() => expect(onlyUser().sessions[1]?.stream.video?.tags).toBe(1));
    });

    it("takes the seat from a user who is kicked", async () => {
      const client = await entered(await streamKey());
      expect((await kickTeacher()).status).toBe(204);
      await client.closed;
      expect(client.statuses.at(-1)).toMatchObject({ level: "error", code: "NetStream.Publish.Kicked" });
      expect(onlyUser()).toMatchObject({ online: false, sessions: [{ endReason: "kicked" }] });
      expect((await kickTeacher()).status).toBe(404);
    });
  });

  describe("for a silent connection", () => {
    it("closes a connection that does not publish in time", async () => {
      const { rtmpUrl } = await impatient({ publishWithinMs: 20 });
      // The client sends half a handshake and nothing else.
      await expect(sendRaw(rtmpUrl, Buffer.from([3, 0]))).resolves.toBeUndefined();
    });

    it("removes a publisher that sends nothing for too long", async () => {
      const started = await impatient({ silenceMs: 20 });
      const client = await RtmpTestClient.connect(started.rtmpUrl);
      clients.push(client);
      client.publish(await streamKey());
      await client.closed;
      expect(started.rooms()).toMatchObject([{ users: [{ online: false, sessions: [{ endReason: "silent" }] }] }]);
    });
  });

  describe("with a fault switch", () => {
    it("refuses the given number of publishes with the given status", async () => {
      const refusal = { code: "NetStream.Publish.BadName", description: "The room is full." };
      expect(await fault({ kind: "refuse", scope: { userId: "teacher" }, ...refusal })).toBe(200);
      await entered(await streamKey("class_1", "", "pupil"));
      const refused = await publisher(await streamKey());
      await refused.closed;
      expect(refused.statuses).toMatchObject([{ level: "error", ...refusal }]);
      await entered(await streamKey());
      expect(emulator.faults()).toEqual({ refusals: [], stalledSeats: [] });
    });

    it("cuts a connection without a status message", async () => {
      const client = await entered(await streamKey());
      expect(await fault({ kind: "drop", seat: SEAT })).toBe(200);
      await client.closed;
      expect(client.statuses).toHaveLength(1);
      expect(onlyUser().sessions).toMatchObject([{ endReason: "dropped" }]);
    });

    it("reads nothing from a publisher until the switch is taken off", async () => {
      const client = await entered(await streamKey());
      expect(await fault({ kind: "stall", seat: SEAT })).toBe(200);
      // These are more bytes than the socket buffers of both sides hold.
      for (let i = 0; i < 20; i++) client.sendPicture(1_000_000);
      await eventually(() => expect(client.stuckBytes).toBeGreaterThan(0));
      expect(onlyUser().sessions[0]?.stream.video?.tags ?? 0).toBeLessThan(20);
      const cleared = await fetch(`${emulator.httpUrl}/faults`, { method: "DELETE" });
      expect(cleared.status).toBe(204);
      await eventually(() => expect(onlyUser().sessions[0]?.stream.video?.tags).toBe(20));
    });

    it("names what is wrong with a fault request", async () => {
      const answer = await postFault('{"kind":"stall"}');
      expect(answer.status).toBe(400);
      expect(await answer.json()).toEqual({ error: { message: expect.stringContaining("seat is missing") } });
      expect((await postFault("{")).status).toBe(400);
    });

    it("refuses requests that a page of another site can send without a preflight", async () => {
      const refusal = JSON.stringify({ kind: "refuse", times: 1 });
      for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
        expect((await postFault(refusal, type)).status).toBe(415);
      }
      const asked = await fetch(`${emulator.httpUrl}/faults`, { method: "OPTIONS" });
      expect([asked.status, asked.headers.get("access-control-allow-methods")]).toEqual([405, null]);
      expect(emulator.faults()).toEqual({ refusals: [], stalledSeats: [] });
    });
  });

  describe("over HTTP", () => {
    it("serves its pages and the player's script from this machine alone", async () => {
      for (const [path, type] of [
        ["/", "text/html"],
        ["/rooms/class_1/watch", "text/html"],
        ["/page/element.js", "text/javascript"],
        ["/page/rooms.js", "text/javascript"],
        ["/page/watch.js", "text/javascript"],
        ["/page/emulator.css", "text/css"],
        ["/page/mpegts.js", "text/javascript"],
      ]) {
        const response = await fetch(`${emulator.httpUrl}${path}`);
        expect([path, response.status]).toEqual([path, 200]);
        expect(response.headers.get("content-type")).toContain(type);
        expect(await response.text()).not.toMatch(/(?:src|href)="https?:/);
      }
    });

    it.each([
      ["/nothing", 404],
      ["/page/..%2Fmain.ts", 404],
      ["/page/constructor", 404],
      ["/rooms/%ff", 400],
      ["/rooms/nobody", 404],
      ["/rooms/nobody/user.flv", 404],
      ["/rooms/x?kind=both", 400],
      ["/rooms/x?sdkappid=x", 400],
    ])("answers %s with %i and says why", async (path, status) => {
      expect(await get(path)).toEqual({ status, body: { error: { message: expect.any(String) } } });
    });

    it("identifies itself as an emulator", async () => {
      expect(await get("/rooms")).toEqual({ status: 200, body: { emulator: true, rooms: [], refusals: [] } });
    });
  });

  describe("when it is stopped", () => {
    it("closes every connection, and may be stopped twice", async () => {
      const client = await entered(await streamKey());
      await Promise.all([emulator.stop(), emulator.stop()]);
      await client.closed;
      expect(onlyUser().sessions).toMatchObject([{ endReason: "emulator-stopped" }]);
    });

    it("leaves nothing behind when it cannot start because a port is taken", async () => {
      const httpPort = Number(new URL(emulator.httpUrl).port);
      await expect(RoomEmulator.start({ apps: {}, httpPort })).rejects.toThrow("EADDRINUSE");
    });
  });
});
