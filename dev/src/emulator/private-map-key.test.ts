import { createHmac } from "node:crypto";
import { deflateSync } from "node:zlib";
import { mintUserSig } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { admit } from "./admission.ts";

const SDK_APP_ID = 1_400_000_001;
const SECRET_KEY = "key-of-the-emulated-app";
const ALL_PRIVILEGES = 255;

interface MapKey {
  readonly userId?: string;
  readonly room: number | string;
  readonly privileges?: number;
  readonly lifetimeS?: number;
  readonly secretKey?: string;
}

function uint(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
}

/** Returns a permission key in the form of Tencent's generator. */
function mapKey(options: MapKey): string {
  const { userId = "teacher", room, privileges = ALL_PRIVILEGES, lifetimeS = 300, secretKey = SECRET_KEY } = options;
  const nowS = Math.floor(Date.now() / 1000);
  const text = typeof room === "string" ? [uint(room.length, 2), Buffer.from(room)] : [];
  const buffer = Buffer.concat([
    uint(typeof room === "string" ? 1 : 0, 1),
    uint(userId.length, 2),
    Buffer.from(userId),
    uint(SDK_APP_ID, 4),
    uint(typeof room === "string" ? 0 : room, 4),
    uint(nowS + lifetimeS, 4),
    uint(privileges, 4),
    uint(0, 4),
    ...text,
  ]).toString("base64");
  const fields = { identifier: userId, sdkappid: SDK_APP_ID, time: nowS, expire: 3600, userbuf: buffer };
  const signed = Object.entries(fields).map(([name, value]) => `TLS.${name}:${value}\n`);
  const sig = createHmac("sha256", secretKey).update(signed.join("")).digest("base64");
  const named = Object.entries({ ver: "2.0", ...fields, sig }).map(([name, value]) => [`TLS.${name}`, value]);
  const packed = deflateSync(JSON.stringify(Object.fromEntries(named))).toString("base64");
  return packed.replaceAll("+", "*").replaceAll("/", "-").replaceAll("=", "_");
}

async function admission(room: string, key: string | undefined, mapKeyApps: readonly number[] = [SDK_APP_ID]) {
  const secretKey = SECRET_KEY;
  const nowMs = Date.now();
  const userSig = await mintUserSig({ sdkAppId: SDK_APP_ID, userId: "teacher", secretKey, lifetimeS: 3600, nowMs });
  const extra = key === undefined ? "" : `&private_map_key=${encodeURIComponent(key)}`;
  const [name, flag = ""] = room.split("&");
  const streamKey = `${name}?sdkappid=${SDK_APP_ID}&userid=teacher&usersig=${userSig}${extra}${flag && `&${flag}`}`;
  return admit(streamKey, { apps: { [SDK_APP_ID]: secretKey }, nowMs, mapKeyApps });
}

const NUMBER_ROOM = "42&use_number_room_id=1";

describe("An emulated application with private_map_key", () => {
  it("admits a user with a key for the room", async () => {
    expect(await admission("class_1", mapKey({ room: "class_1" }))).toMatchObject({ ok: true });
    expect(await admission(NUMBER_ROOM, mapKey({ room: 42 }))).toMatchObject({ ok: true });
  });

  it.each<[string, string, string | undefined, string]>([
    ["no key", "class_1", undefined, "it is missing"],
    ["a key for another room", "class_1", mapKey({ room: "class_2" }), "it is for another room"],
    ["a key for the string room of the same digits", NUMBER_ROOM, mapKey({ room: "42" }), "it is for another room"],
    ["a key that has expired", "class_1", mapKey({ room: "class_1", lifetimeS: -1 }), "it has expired"],
    ["a key to listen only", "class_1", mapKey({ room: "class_1", privileges: 2 | 8 | 32 }), "it does not allow"],
    ["another user's key", "class_1", mapKey({ room: "class_1", userId: "pupil" }), "another UserId"],
    ["a key of another SecretKey", "class_1", mapKey({ room: "class_1", secretKey: "other" }), "signature"],
    ["a key that cannot be read", "class_1", "nothing", "cannot be read"],
  ])("refuses a user with %s", async (_what, room, key, why) => {
    expect(await admission(room, key)).toMatchObject({
      ok: false,
      refusal: { code: "NetStream.Publish.Denied", description: expect.stringContaining(why) },
    });
  });

  it("does not affect other applications, which ignore the key", async () => {
    expect(await admission("class_1", "nothing", [])).toMatchObject({ ok: true });
  });
});
