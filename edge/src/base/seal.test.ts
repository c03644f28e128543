import { describe, expect, it } from "vitest";
import { fingerprints, openSealed, type SealKeys, seal, unseal } from "./seal.ts";

const KEY = "a key that seals, of more than 32 characters";
const NEWER = "another key that seals, newer than the first";
const KEYS: SealKeys = [KEY];
const SECRET = { UserSig: "eJw-secret", RedisPassword: "pässword" };

describe("Seal", () => {
  it("is opened with the same key for the same task", async () => {
    const sealed = await seal(SECRET, KEYS, "task-1");
    expect(await unseal(sealed, KEYS, "task-1")).toEqual(SECRET);
    expect(sealed).not.toContain("secret");
    expect(await seal(SECRET, KEYS, "task-1")).not.toBe(sealed);
  });

  it.each<[string, (sealed: string) => [string, SealKeys, string]]>([
    ["with another key", (sealed) => [sealed, [`${KEY}!`, NEWER], "task-1"]],
    ["for another task", (sealed) => [sealed, KEYS, "task-2"]],
    ["after a change", (sealed) => [sealed.replace(/.$/, (last) => (last === "A" ? "B" : "A")), KEYS, "task-1"]],
    ["when the text is not a sealed one", () => ["v2.x", KEYS, "task-1"]],
    ["when its day was changed", (sealed) => [sealed.replace(/^v2\.[0-9]+/, "v2.1"), KEYS, "task-1"]],
    ["when its version was changed", (sealed) => [sealed.replace("v2.", "v9."), KEYS, "task-1"]],
  ])("is not opened %s", async (_what, change) => {
    const [text, key, taskId] = change(await seal(SECRET, KEYS, "task-1"));
    await expect(unseal(text, key, taskId)).rejects.toMatchObject({ code: "InternalError" });
  });

  it("is opened in the format of older edges, for its own subject only", async () => {
    const before =
      "v1.VPLUHTcJzNpg6fx9.C3S+bqbL47yy/AgVM/We6dUzTbctDzKc8q5XQUSYLuIFhFujBlPdKTG7qPjIOVLCEgeLbMArcFlBPBEjMPLrKfRmziQ=";
    expect(await openSealed(before, [NEWER, KEY], "task-1")).toEqual({ value: SECRET, stale: true });
    await expect(unseal(before, KEYS, "task-2")).rejects.toMatchObject({ code: "InternalError" });
  });

  it("is opened with an older key and reported as stale, while the newest key seals", async () => {
    const old = await seal(SECRET, [KEY], "task-1");
    const rotated: SealKeys = [NEWER, KEY];
    expect(await openSealed(old, rotated, "task-1")).toEqual({ value: SECRET, stale: true });
    const again = await seal(SECRET, rotated, "task-1");
    expect(await openSealed(again, rotated, "task-1")).toEqual({ value: SECRET, stale: false });
    // The older key can be removed from the list once nothing sealed with it is left.
    expect(await unseal(again, [NEWER], "task-1")).toEqual(SECRET);
    await expect(unseal(again, [KEY], "task-1")).rejects.toMatchObject({ code: "InternalError" });
  });

  it("computes the same fingerprint for the same values in any order, and a different one for different values or keys", async () => {
    const first = await fingerprints({ a: 1, b: [{ c: "x", d: null }] }, KEYS);
    expect(await fingerprints({ b: [{ d: null, c: "x" }], a: 1 }, KEYS)).toEqual(first);
    expect(await fingerprints({ a: 1, b: [{ c: "y", d: null }] }, KEYS)).not.toEqual(first);
    expect(await fingerprints({ a: 1, b: [{ c: "x", d: null }] }, [`${KEY}!`])).not.toEqual(first);
  });

  it("recognizes a fingerprint after a newer key was added", async () => {
    const [before] = await fingerprints(SECRET, KEYS);
    expect(await fingerprints(SECRET, [NEWER, KEY])).toContain(before);
  });
});
