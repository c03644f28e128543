import { describe, expect, test } from "vitest";
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
  // SAFETY: the undefined ones were just filtered out.
  return { packages: Object.fromEntries(changed) as Record<string, { version?: string }> };
}

describe("packages are installed exactly when they are not there as locked", () => {
  test("a fresh clone misses all that must be there", () => {
    expect(missingPackages(wanted, undefined)).toEqual([
      "shared",
      "node_modules/@roomcast/shared",
      "node_modules/hono",
    ]);
  });

  test("nothing is missing when only an optional package could not be downloaded", () => {
    expect(missingPackages(wanted, installed())).toEqual([]);
  });

  test("a package that was removed is missing", () => {
    expect(missingPackages(wanted, installed({ "node_modules/hono": undefined }))).toEqual(["node_modules/hono"]);
  });

  test("a package of another version is missing", () => {
    expect(missingPackages(wanted, installed({ "node_modules/hono": { version: "4.12.0" } }))).toEqual([
      "node_modules/hono",
    ]);
  });

  test("an optional package of another version is missing too", () => {
    expect(missingPackages(wanted, installed({ "node_modules/ffmpeg-static": { version: "5.2.0" } }))).toEqual([
      "node_modules/ffmpeg-static",
    ]);
  });
});
