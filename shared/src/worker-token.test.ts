import { SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { RoomcastError } from "./errors.ts";
import { mintWorkerToken, verifyWorkerToken } from "./worker-token.ts";

const key = "k".repeat(32);
const identity = { workerId: "worker-1", regions: ["ap-guangzhou", "ap-shanghai"] };

function signed(claims: Record<string, unknown>, audience = "roomcast:fleet"): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256" })
    .setAudience(audience)
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(key));
}

const part = (value: unknown) => btoa(JSON.stringify(value)).replaceAll("=", "");

function unsigned(): string {
  const claims = { sub: "worker-1", regions: ["ap-guangzhou"], aud: "roomcast:fleet", exp: 4e9 };
  return `${part({ alg: "none" })}.${part(claims)}.`;
}

async function flipped(): Promise<string> {
  const [header, , signature] = (await mintWorkerToken({ ...identity, key, lifetimeS: 60 })).split(".");
  const claims = btoa(JSON.stringify({ sub: "worker-2", regions: ["ap-guangzhou"], aud: "roomcast:fleet", exp: 4e9 }));
  return `${header}.${claims.replaceAll("=", "")}.${signature}`;
}

describe("Worker token", () => {
  it("names its worker and the regions in which the worker may run", async () => {
    const token = await mintWorkerToken({ ...identity, key, lifetimeS: 60 });
    await expect(verifyWorkerToken(token, key)).resolves.toEqual({ ...identity, tokenId: null });
    const named = await mintWorkerToken({ ...identity, key, lifetimeS: 60, tokenId: "token-1" });
    await expect(verifyWorkerToken(named, key)).resolves.toEqual({ ...identity, tokenId: "token-1" });
  });

  it("is valid while the key that signed it is among the accepted keys", async () => {
    const [newer, token] = ["n".repeat(32), await mintWorkerToken({ ...identity, key, lifetimeS: 60 })];
    await expect(verifyWorkerToken(token, [newer, key])).resolves.toMatchObject(identity);
    await expect(verifyWorkerToken(token, [newer])).rejects.toMatchObject({
      code: "AuthFailure.InvalidWorkerToken",
      message: expect.stringContaining("not one that this edge has signed"),
    });
    const expired = await mintWorkerToken({ ...identity, key, lifetimeS: -1 });
    await expect(verifyWorkerToken(expired, [newer, key])).rejects.toThrow("it has expired");
  });

  it.each<[string, () => Promise<string>]>([
    ["signed with another key", () => mintWorkerToken({ ...identity, key: "x".repeat(32), lifetimeS: 60 })],
    ["expired", () => mintWorkerToken({ ...identity, key, lifetimeS: -1 })],
    ["changed after it was signed", flipped],
    ["not signed at all", () => Promise.resolve(unsigned())],
    ["made for another purpose", () => signed({ sub: "worker-1", regions: ["ap-guangzhou"] }, "roomcast:api")],
    ["without a worker id", () => signed({ regions: ["ap-guangzhou"] })],
    ["without regions", () => signed({ sub: "worker-1" })],
    ["with an empty list of regions", () => signed({ sub: "worker-1", regions: [] })],
    ["with a worker id of other characters", () => signed({ sub: "../worker", regions: ["ap-guangzhou"] })],
    ["garbage", () => Promise.resolve("garbage")],
    ["empty", () => Promise.resolve("")],
  ])("is refused when it is %s, and not repeated", async (_what, make) => {
    const token = await make();
    const thrown = await verifyWorkerToken(token, key).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(RoomcastError);
    expect(thrown).toMatchObject({ code: "AuthFailure.InvalidWorkerToken" });
    expect(String(thrown).split(" ")).not.toContain(token);
  });

  it("is refused as expired, not as forged, after its lifetime", async () => {
    const token = await mintWorkerToken({ ...identity, key, lifetimeS: -1 });
    await expect(verifyWorkerToken(token, key)).rejects.toThrow("it has expired");
  });
});
