import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findMediaTools, isNewEnough, versionOf } from "./media-tools.ts";

let directory: string;

/** Writes a program that answers `-version` as ffmpeg does. */
async function program(folder: string, tool: string, version: string): Promise<string> {
  const path = join(directory, `${folder}-${tool}`);
  await writeFile(path, `#!/bin/sh\necho "${tool} version ${version} Copyright (c)"\n`);
  await chmod(path, 0o755);
  return path;
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "roomcast-tools-"));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

describe("The version of ffmpeg", () => {
  it.each([
    ["5.1", true],
    ["5.1.9-0+deb12u1", true],
    ["n7.0.2", true],
    ["8.0", true],
    ["10.2", true],
    ["5.0.3", false],
    ["4.4.2-0ubuntu0.22.04.1", false],
    ["N-66595-gc2b38619c0-static", true],
    ["git-2023-01-01-abc", true],
    ["2023-02-22-git-d5cc7acff1-full_build", true],
    ["unknown", false],
  ])("%s is accepted: %s", (version, enough) => {
    expect(isNewEnough(version)).toBe(enough);
  });

  it("is read from the output of the program", () => {
    expect(versionOf("ffprobe version 5.1.9-0+deb12u1 Copyright (c)\nbuilt with gcc")).toBe("5.1.9-0+deb12u1");
    expect(versionOf("GNU bash, version 5.2")).toBeUndefined();
  });
});

describe("findMediaTools", () => {
  it("finds ffmpeg and ffprobe at the paths in the environment", async () => {
    const FFMPEG_PATH = await program("given", "ffmpeg", "6.0");
    const FFPROBE_PATH = await program("given", "ffprobe", "6.1");
    expect(await findMediaTools({ env: { FFMPEG_PATH, FFPROBE_PATH } })).toEqual({
      name: "found",
      tools: { ffmpegPath: FFMPEG_PATH, ffmpegVersion: "6.0", ffprobePath: FFPROBE_PATH, ffprobeVersion: "6.1" },
    });
  });

  it("finds ffmpeg and ffprobe in npm packages", async () => {
    const paths = {
      ffmpeg: await program("packaged", "ffmpeg", "6.0"),
      ffprobe: await program("packaged", "ffprobe", "N-1-g1"),
    };
    const found = await findMediaTools({ env: { PATH: "" }, packagedPath: (tool) => paths[tool] });
    expect(found).toMatchObject({ name: "found", tools: { ffmpegPath: paths.ffmpeg, ffprobePath: paths.ffprobe } });
  });

  it("names programs that are missing or too old, and how to install them", async () => {
    const FFMPEG_PATH = await program("old", "ffmpeg", "4.4");
    const found = await findMediaTools({ env: { FFMPEG_PATH, PATH: "" }, packagedPath: () => undefined });
    expect(found).toMatchObject({
      name: "missing",
      problems: [
        { tool: "ffmpeg", tried: [expect.stringContaining("is version 4.4, older than 5.1")] },
        {
          tool: "ffprobe",
          tried: ["ffprobe on PATH: cannot be run"],
          message: expect.stringContaining("apt-get install"),
        },
      ],
    });
  });
});
