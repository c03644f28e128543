import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { limitedCommand, MAX_PIXELS, refuseHugePictures } from "./child-limits.ts";

const run = promisify(execFile);

describe("Limits of ffmpeg and ffprobe", () => {
  it("limits ffmpeg's address space and CPU time and disables core dumps", async () => {
    const limits = { residentBytes: 1, addressBytes: 512 * 1024 * 1024, cpuS: 7 };
    const { command, args } = limitedCommand(
      "/bin/sh",
      ["-c", 'ulimit -v; ulimit -t; ulimit -c; echo "$@"', "x"],
      limits,
    );
    expect((await run(command, args)).stdout.trim().split("\n")).toEqual(["524288", "7", "0"]);
  });

  it("passes arguments unchanged, even with shell characters", async () => {
    const limits = { residentBytes: 1, addressBytes: 512 * 1024 * 1024, cpuS: null };
    const odd = ["a b", "$HOME", "`id`", "'", '"', "; exit 3", ""];
    const { command, args } = limitedCommand("/usr/bin/printf", ["%s|", ...odd], limits);
    expect((await run(command, args)).stdout).toBe(odd.map((each) => `${each}|`).join(""));
  });

  it("refuses a source with pictures that are too large to decode", () => {
    expect(() => refuseHugePictures(null)).not.toThrow();
    expect(() => refuseHugePictures({ width: 8192, height: MAX_PIXELS / 8192 })).not.toThrow();
    expect(() => refuseHugePictures({ width: 16_384, height: 16_384 })).toThrow(
      expect.objectContaining({
        code: "FailedOperation.SourceUnsupported",
        message: expect.stringContaining("too large (16384x16384)"),
      }),
    );
  });
});
