import { expect, test } from "vitest";
import { callerCoordinates, chooseRegion } from "./choose-region.ts";

const PARIS = { latitude: 48.9, longitude: 2.4 };
const NOTHING = { asked: undefined, header: undefined, caller: null, fallback: "ap-guangzhou" };
const KNOWN = ["ap-guangzhou", "eu-frankfurt"];

test.each([
  ["nothing says otherwise", {}, "ap-guangzhou"],
  ["the caller is in Paris", { caller: PARIS }, "eu-frankfurt"],
  ["a header names one, wherever the caller is", { caller: PARIS, header: "ap-tokyo" }, "ap-tokyo"],
  ["the request names one, whatever the header says", { asked: "ap-seoul", header: "ap-tokyo" }, "ap-seoul"],
])("when %s, that region is looked at first", async (_what, wishes, region) => {
  expect(await chooseRegion({ ...NOTHING, ...wishes }, () => Promise.resolve(KNOWN))).toBe(region);
});

test("a caller whose place is known goes to the default where no region stands anywhere", async () => {
  expect(await chooseRegion({ ...NOTHING, caller: PARIS }, () => Promise.resolve(["xx-laptop"]))).toBe("ap-guangzhou");
});

test.each([
  [{ latitude: "48.9", longitude: "2.4", city: "Paris" }, PARIS],
  [{ latitude: "", longitude: "2.4" }, null],
  [{ country: "FR" }, null],
  [undefined, null],
])("request.cf %j says where the caller is, or that nobody knows", (cf, at) => {
  expect(callerCoordinates(cf)).toEqual(at);
});
