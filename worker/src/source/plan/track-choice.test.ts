import { describe, expect, it } from "vitest";
import { sameLanguage } from "./track-choice.ts";

describe("sameLanguage", () => {
  it.each([
    ["eng", "en", true],
    ["ger", "de", true],
    ["deu", "ger", true],
    ["chi", "zh", true],
    ["zho", "zh-Hans", true],
    ["cmn", "zh", true],
    ["en-US", "en", true],
    ["en-US", "en-GB", false],
    ["zh-Hant", "zh-Hans", false],
    ["pt_BR", "por", true],
    ["eng", "fra", false],
    ["not a tag", "en", false],
  ])("compares %s with %s and returns %s", (found, wished, expected) => {
    expect(sameLanguage(found, wished)).toBe(expected);
  });
});
