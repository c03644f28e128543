import { expect, test } from "vitest";
import { callerCoordinates, chooseRegion } from "./choose-region.ts";

const PARIS = { latitude: 48.9, longitude: 2.4 };
const NEW_YORK = { latitude: 40.7, longitude: -74 };
const NOTHING = {
  asked: undefined,
  header: undefined,
  caller: null,
  fallback: "ap-guangzhou",
  configured: ["ap-guangzhou"],
};
const KNOWN = ["ap-guangzhou", "eu-frankfurt"];

test.each([
  ["nothing says otherwise", {}, "ap-guangzhou"],
  ["the caller is in Paris", { caller: PARIS }, "eu-frankfurt"],
  ["a header names one, wherever the caller is", { caller: PARIS, header: "ap-guangzhou" }, "ap-guangzhou"],
  ["a header names one that never had a worker, the nearest known one", { header: "eu-moscow" }, "eu-frankfurt"],
  ["a header names one of the settings", { header: "xx-lab", configured: ["ap-guangzhou", "xx-lab"] }, "xx-lab"],
  [
    "the caller is in New York, and the one near is of the settings only",
    { caller: NEW_YORK, configured: ["ap-guangzhou", "na-ashburn"] },
    "eu-frankfurt",
  ],
  ["a header names one that stands nowhere", { header: "xx-nowhere" }, "ap-guangzhou"],
  ["the request names one, whatever the header says", { asked: "eu-frankfurt", header: "ap-tokyo" }, "eu-frankfurt"],
])("when %s, that region is looked at first", async (_what, wishes, region) => {
  const chosen = await chooseRegion({ ...NOTHING, ...wishes }, () => Promise.resolve(KNOWN));
  expect(chosen).toEqual({ kind: "chosen", region });
});

test("a request for a region that is not known is told which ones are, those of the settings too", async () => {
  const wishes = { ...NOTHING, asked: "ap-seoul", configured: ["ap-guangzhou", "xx-lab"] };
  const chosen = await chooseRegion(wishes, () => Promise.resolve(["eu-frankfurt"]));
  expect(chosen).toEqual({ kind: "unknown", known: ["ap-guangzhou", "xx-lab", "eu-frankfurt"] });
});

test("a region of the settings is taken without asking which ones had workers", async () => {
  const wishes = { ...NOTHING, asked: "xx-lab", configured: ["ap-guangzhou", "xx-lab"] };
  const chosen = await chooseRegion(wishes, () => Promise.reject(new Error("asked")));
  expect(chosen).toEqual({ kind: "chosen", region: "xx-lab" });
});

test("a caller whose place is known goes to the default where no region stands anywhere", async () => {
  const chosen = await chooseRegion({ ...NOTHING, caller: PARIS }, () => Promise.resolve(["xx-laptop"]));
  expect(chosen).toEqual({ kind: "chosen", region: "ap-guangzhou" });
});

test.each([
  [{ latitude: "48.9", longitude: "2.4", city: "Paris" }, PARIS],
  [{ latitude: "", longitude: "2.4" }, null],
  [{ country: "FR" }, null],
  [undefined, null],
])("request.cf %j says where the caller is, or that nobody knows", (cf, at) => {
  expect(callerCoordinates(cf)).toEqual(at);
});
