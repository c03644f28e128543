import { expect, test } from "vitest";
import { fingerprint, seal, unseal } from "./seal.ts";

const KEY = "a key that seals, of more than 32 characters";
const SECRET = { UserSig: "eJw-secret", RedisPassword: "pässword" };

test("what is sealed for a task is opened with the same key for the same task", async () => {
  const sealed = await seal(SECRET, KEY, "task-1");
  expect(await unseal(sealed, KEY, "task-1")).toEqual(SECRET);
  expect(sealed).not.toContain("secret");
  expect(await seal(SECRET, KEY, "task-1")).not.toBe(sealed);
});

test.each<[string, (sealed: string) => [string, string, string]]>([
  ["with another key", (sealed) => [sealed, `${KEY}!`, "task-1"]],
  ["for another task", (sealed) => [sealed, KEY, "task-2"]],
  ["after a change", (sealed) => [sealed.replace(/.$/, (last) => (last === "A" ? "B" : "A")), KEY, "task-1"]],
  ["when it is no sealed text", () => ["v1.x", KEY, "task-1"]],
  ["of another version", (sealed) => [sealed.replace("v1.", "v9."), KEY, "task-1"]],
])("it is not opened %s", async (_what, change) => {
  const [text, key, taskId] = change(await seal(SECRET, KEY, "task-1"));
  await expect(unseal(text, key, taskId)).rejects.toMatchObject({ code: "InternalError" });
});

test("a fingerprint is the same for the same values in any order, and another for any other", async () => {
  const first = await fingerprint({ a: 1, b: [{ c: "x", d: null }] }, KEY);
  expect(await fingerprint({ b: [{ d: null, c: "x" }], a: 1 }, KEY)).toBe(first);
  expect(await fingerprint({ a: 1, b: [{ c: "y", d: null }] }, KEY)).not.toBe(first);
  expect(await fingerprint({ a: 1, b: [{ c: "x", d: null }] }, `${KEY}!`)).not.toBe(first);
});
