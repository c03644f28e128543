import { expect, test } from "vitest";
import { nearestRegion, neighboursOf } from "./region-distance.ts";

const KNOWN = ["ap-beijing", "ap-guangzhou", "ap-hongkong", "eu-frankfurt", "na-ashburn", "xx-laptop"];

test.each([
  ["ap-guangzhou", ["ap-hongkong", "ap-beijing", "eu-frankfurt", "na-ashburn"]],
  ["eu-frankfurt", ["na-ashburn", "ap-beijing", "ap-guangzhou", "ap-hongkong"]],
  ["xx-laptop", []],
])("the neighbours of %s are the others, the nearest first", (region, neighbours) => {
  expect(neighboursOf(region, KNOWN)).toEqual(neighbours);
});

test.each([
  ["Shenzhen", 22.5, 114.1, "ap-hongkong"],
  ["Paris", 48.9, 2.4, "eu-frankfurt"],
  ["New York", 40.7, -74, "na-ashburn"],
  // Over the Pacific: 179° east and 179° west are neighbours.
  ["Fiji", -17.7, -179.9, "ap-hongkong"],
])("a caller in %s is nearest to the region there", (_city, latitude, longitude, region) => {
  expect(nearestRegion({ latitude, longitude }, KNOWN)).toBe(region);
});

test("where no region stands anywhere, none is nearest", () => {
  expect(nearestRegion({ latitude: 0, longitude: 0 }, ["xx-laptop"])).toBeNull();
});
