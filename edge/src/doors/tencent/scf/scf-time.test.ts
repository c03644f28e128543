import { describe, expect, it } from "vitest";
import { scfTime, scfTimeMs, scfTimeText } from "./scf-time.ts";

const CHINA = 480;
const AT = Date.parse("2026-11-23T16:30:00.125Z");

describe("SCF time", () => {
  it("is written in SCF's format in the configured time zone", () => {
    expect(scfTime(AT, CHINA)).toBe("2026-11-24 00:30:00.125000");
    expect(scfTime(AT, 0)).toBe("2026-11-23 16:30:00.125000");
    expect(scfTime(AT, -90)).toBe("2026-11-23 15:00:00.125000");
  });

  it("is read back as the same time", () => {
    for (const offset of [CHINA, 0, -90]) expect(scfTimeMs(scfTime(AT, offset), offset)).toBe(AT);
    expect(scfTimeMs("2026-11-24 00:30:00", CHINA)).toBe(AT - 125);
    expect(scfTimeMs("2026-11-24 00:30:00.1259", CHINA)).toBe(AT);
  });

  it.each(["2026-12-31 20:15:00", "2026-12-31 20:15:00.5", "2028-02-29 00:00:00.123456"])(
    "accepts %s as a time",
    (text) => {
      expect(scfTimeText.safeParse(text).success).toBe(true);
    },
  );

  it.each([
    "",
    "2026-12-31",
    "2026-12-31T20:15:00",
    "2026-02-30 10:00:00",
    "2026-13-01 10:00:00",
    "2026-12-31 24:01:00",
  ])("rejects %j, which is not a time", (text) => {
    expect(scfTimeText.safeParse(text).success).toBe(false);
  });
});
