import { describe, expect, it } from "vitest";
import { missingPackages } from "../../bootstrap/installed-packages.mjs";

const wanted = {
  packages: {
    "": { version: "0.1.0" },
    shared: { version: "0.1.0" },
    "node_modules/@roomcast/shared": { link: true },
    "node_modules/hono": { version: "4.13.0" },
    "node_modules/ffmpeg-static": { version: "5.3.0", optional: true },
  },
};

function installed(changes: Record<string, { version?: string } | undefined> = {}) {
  const { "": _root, "node_modules/ffmpeg-static": _optional, ...packages } = wanted.packages;
  const changed = Object.entries({ ...packages, ...changes }).filter(([, value]) => value !== undefined);
  // SAFETY: undefined values have just been filtered out.
  return { packages: Object.fromEntries(changed) as Record<string, { version?: string }> };
}

describe("missingPackages", () => {
  it("returns all required packages for a fresh clone", () => {
    expect(missingPackages(wanted, undefined)).toEqual([
      "shared",
      "node_modules/@roomcast/shared",
      "node_modules/hono",
    ]);
  });

  it("returns nothing when only an optional package is absent", () => {
    expect(missingPackages(wanted, installed())).toEqual([]);
  });

  it("returns a package that was removed", () => {
    expect(missingPackages(wanted, installed({ "node_modules/hono": undefined }))).toEqual(["node_modules/hono"]);
  });

  it("returns a package of another version", () => {
    expect(missingPackages(wanted, installed({ "node_modules/hono": { version: "4.12.0" } }))).toEqual([
      "node_modules/hono",
    ]);
  });

  it("returns an optional package of another version", () => {
    expect(missingPackages(wanted, installed({ "node_modules/ffmpeg-static": { version: "5.2.0" } }))).toEqual([
      "node_modules/ffmpeg-static",
    ]);
  });
});
