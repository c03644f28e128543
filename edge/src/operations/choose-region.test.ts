import { describe, expect, it } from "vitest";
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

describe("chooseRegion", () => {
  it.each([
    ["nothing says otherwise", {}, "ap-guangzhou"],
    ["the caller is in Paris", { caller: PARIS }, "eu-frankfurt"],
    ["a header names it, wherever the caller is", { caller: PARIS, header: "ap-guangzhou" }, "ap-guangzhou"],
    [
      "a header names a region that never had a worker but has a known neighbour",
      { header: "eu-moscow" },
      "eu-frankfurt",
    ],
    [
      "a header names it and it is a configured region",
      { header: "xx-lab", configured: ["ap-guangzhou", "xx-lab"] },
      "xx-lab",
    ],
    [
      "the caller is in New York and only the configuration lists a nearer region",
      { caller: NEW_YORK, configured: ["ap-guangzhou", "na-ashburn"] },
      "eu-frankfurt",
    ],
    ["a header names a region without a known location", { header: "xx-nowhere" }, "ap-guangzhou"],
    ["the request names it, whatever the header says", { asked: "eu-frankfurt", header: "ap-tokyo" }, "eu-frankfurt"],
  ])("chooses the expected region when %s", async (_what, wishes, region) => {
    const chosen = await chooseRegion({ ...NOTHING, ...wishes }, () => Promise.resolve(KNOWN));
    expect(chosen).toEqual({ kind: "chosen", region });
  });

  it("refuses an unknown region and names the known and the configured ones", async () => {
    const wishes = { ...NOTHING, asked: "ap-seoul", configured: ["ap-guangzhou", "xx-lab"] };
    const chosen = await chooseRegion(wishes, () => Promise.resolve(["eu-frankfurt"]));
    expect(chosen).toEqual({ kind: "unknown", known: ["ap-guangzhou", "xx-lab", "eu-frankfurt"] });
  });

  it("accepts a configured region without asking which regions had workers", async () => {
    const wishes = { ...NOTHING, asked: "xx-lab", configured: ["ap-guangzhou", "xx-lab"] };
    const chosen = await chooseRegion(wishes, () => Promise.reject(new Error("asked")));
    expect(chosen).toEqual({ kind: "chosen", region: "xx-lab" });
  });

  it("falls back to the default region when no region has a known location", async () => {
    const chosen = await chooseRegion({ ...NOTHING, caller: PARIS }, () => Promise.resolve(["xx-laptop"]));
    expect(chosen).toEqual({ kind: "chosen", region: "ap-guangzhou" });
  });

  it.each([
    [{ latitude: "48.9", longitude: "2.4", city: "Paris" }, PARIS],
    [{ latitude: "", longitude: "2.4" }, null],
    [{ country: "FR" }, null],
    [undefined, null],
  ])("reads the caller's coordinates, or null, from request.cf %j", (cf, at) => {
    expect(callerCoordinates(cf)).toEqual(at);
  });
});
