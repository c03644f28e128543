import { expect, test } from "vitest";
import { scfTime, scfTimeMs, scfTimeText } from "./scf-time.ts";

const CHINA = 480;
const AT = Date.parse("2026-11-23T16:30:00.125Z");

test("times are written as SCF writes them, in the zone that is set", () => {
  expect(scfTime(AT, CHINA)).toBe("2026-11-24 00:30:00.125000");
  expect(scfTime(AT, 0)).toBe("2026-11-23 16:30:00.125000");
  expect(scfTime(AT, -90)).toBe("2026-11-23 15:00:00.125000");
});

test("a time that was written is read as the same time", () => {
  for (const offset of [CHINA, 0, -90]) expect(scfTimeMs(scfTime(AT, offset), offset)).toBe(AT);
  expect(scfTimeMs("2026-11-24 00:30:00", CHINA)).toBe(AT - 125);
  expect(scfTimeMs("2026-11-24 00:30:00.1259", CHINA)).toBe(AT);
});

test.each(["2026-12-31 20:15:00", "2026-12-31 20:15:00.5", "2028-02-29 00:00:00.123456"])("%s is a time", (text) => {
  expect(scfTimeText.safeParse(text).success).toBe(true);
});

test.each([
  "",
  "2026-12-31",
  "2026-12-31T20:15:00",
  "2026-02-30 10:00:00",
  "2026-13-01 10:00:00",
  "2026-12-31 24:01:00",
])("%s is no time", (text) => {
  expect(scfTimeText.safeParse(text).success).toBe(false);
});
