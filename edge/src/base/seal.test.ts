import { expect, test } from "vitest";
import { fingerprints, openSealed, type SealKeys, seal, unseal } from "./seal.ts";

const KEY = "a key that seals, of more than 32 characters";
const NEWER = "another key that seals, newer than the first";
const KEYS: SealKeys = [KEY];
const SECRET = { UserSig: "eJw-secret", RedisPassword: "pässword" };

test("what is sealed for a task is opened with the same key for the same task", async () => {
  const sealed = await seal(SECRET, KEYS, "task-1");
  expect(await unseal(sealed, KEYS, "task-1")).toEqual(SECRET);
  expect(sealed).not.toContain("secret");
  expect(await seal(SECRET, KEYS, "task-1")).not.toBe(sealed);
});

test.each<[string, (sealed: string) => [string, SealKeys, string]]>([
  ["with another key", (sealed) => [sealed, [`${KEY}!`, NEWER], "task-1"]],
  ["for another task", (sealed) => [sealed, KEYS, "task-2"]],
  ["after a change", (sealed) => [sealed.replace(/.$/, (last) => (last === "A" ? "B" : "A")), KEYS, "task-1"]],
  ["when it is no sealed text", () => ["v2.x", KEYS, "task-1"]],
  ["of another day", (sealed) => [sealed.replace(/^v2\.[0-9]+/, "v2.1"), KEYS, "task-1"]],
  ["of another version", (sealed) => [sealed.replace("v2.", "v9."), KEYS, "task-1"]],
])("it is not opened %s", async (_what, change) => {
  const [text, key, taskId] = change(await seal(SECRET, KEYS, "task-1"));
  await expect(unseal(text, key, taskId)).rejects.toMatchObject({ code: "InternalError" });
});

test("what the edge before this format has sealed is opened, for its subject only", async () => {
  const before =
    "v1.VPLUHTcJzNpg6fx9.C3S+bqbL47yy/AgVM/We6dUzTbctDzKc8q5XQUSYLuIFhFujBlPdKTG7qPjIOVLCEgeLbMArcFlBPBEjMPLrKfRmziQ=";
  expect(await openSealed(before, [NEWER, KEY], "task-1")).toEqual({ value: SECRET, stale: true });
  await expect(unseal(before, KEYS, "task-2")).rejects.toMatchObject({ code: "InternalError" });
});

test("what an older key has sealed is opened, and said to be stale; the newest key seals", async () => {
  const old = await seal(SECRET, [KEY], "task-1");
  const rotated: SealKeys = [NEWER, KEY];
  expect(await openSealed(old, rotated, "task-1")).toEqual({ value: SECRET, stale: true });
  const anew = await seal(SECRET, rotated, "task-1");
  expect(await openSealed(anew, rotated, "task-1")).toEqual({ value: SECRET, stale: false });
  // The older key may be dropped when nothing that it sealed is left.
  expect(await unseal(anew, [NEWER], "task-1")).toEqual(SECRET);
  await expect(unseal(anew, [KEY], "task-1")).rejects.toMatchObject({ code: "InternalError" });
});

test("a fingerprint is the same for the same values in any order, and another for any other", async () => {
  const first = await fingerprints({ a: 1, b: [{ c: "x", d: null }] }, KEYS);
  expect(await fingerprints({ b: [{ d: null, c: "x" }], a: 1 }, KEYS)).toEqual(first);
  expect(await fingerprints({ a: 1, b: [{ c: "y", d: null }] }, KEYS)).not.toEqual(first);
  expect(await fingerprints({ a: 1, b: [{ c: "x", d: null }] }, [`${KEY}!`])).not.toEqual(first);
});

test("a fingerprint is known again after a new key was put first", async () => {
  const [before] = await fingerprints(SECRET, KEYS);
  expect(await fingerprints(SECRET, [NEWER, KEY])).toContain(before);
});
