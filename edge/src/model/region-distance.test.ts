import { describe, expect, it } from "vitest";
import { nearestRegion, neighboursOf } from "./region-distance.ts";

const KNOWN = ["ap-beijing", "ap-guangzhou", "ap-hongkong", "eu-frankfurt", "na-ashburn", "xx-laptop"];

describe("Region distance", () => {
  it.each([
    ["ap-guangzhou", ["ap-hongkong", "ap-beijing", "eu-frankfurt", "na-ashburn"]],
    ["eu-frankfurt", ["na-ashburn", "ap-beijing", "ap-guangzhou", "ap-hongkong"]],
    ["xx-laptop", []],
  ])("lists the neighbours of %s nearest first", (region, neighbours) => {
    expect(neighboursOf(region, KNOWN)).toEqual(neighbours);
  });

  it.each([
    ["Shenzhen", 22.5, 114.1, "ap-hongkong"],
    ["Paris", 48.9, 2.4, "eu-frankfurt"],
    ["New York", 40.7, -74, "na-ashburn"],
    // Across the date line, 179° east and 179° west are close to each other.
    ["Fiji", -17.7, -179.9, "ap-hongkong"],
  ])("finds the nearest region for a caller in %s", (_city, latitude, longitude, region) => {
    expect(nearestRegion({ latitude, longitude }, KNOWN)).toBe(region);
  });

  it("finds no nearest region when no region has a known location", () => {
    expect(nearestRegion({ latitude: 0, longitude: 0 }, ["xx-laptop"])).toBeNull();
  });
});
