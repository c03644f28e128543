import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { promisify } from "node:util";

/** The programs that sources need, as they were found. */
export interface MediaTools {
  readonly ffmpegPath: string;
  /** The version as the program prints it: `5.1.9-0+deb12u1`, `N-66595-gc2b38619c0-static`, … */
  readonly ffmpegVersion: string;
  readonly ffprobePath: string;
  readonly ffprobeVersion: string;
}

export type MediaTool = "ffmpeg" | "ffprobe";

/** A program that was not found or cannot be used. */
export interface MediaToolProblem {
  readonly tool: MediaTool;
  /** The places that were searched, in order, each with the fault that was found there. */
  readonly tried: readonly string[];
  /** A message for the operator that names the missing program and the command that installs it. */
  readonly message: string;
}

export type MediaToolsResult =
  | { readonly name: "found"; readonly tools: MediaTools }
  | { readonly name: "missing"; readonly problems: readonly MediaToolProblem[] };

/** The oldest version that has every option that this worker uses. */
const MIN_FFMPEG_VERSION = "5.1";

export interface FindMediaToolsOptions {
  /** The environment with `FFMPEG_PATH`, `FFPROBE_PATH` and `PATH`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Returns the path of the program in an npm package, or undefined if the package is not installed. */
  readonly packagedPath?: (tool: MediaTool) => string | undefined;
}

interface Candidate {
  /** The name of the place for error messages. */
  readonly from: string;
  readonly command: string;
}

const PATH_VARIABLE: Record<MediaTool, string> = { ffmpeg: "FFMPEG_PATH", ffprobe: "FFPROBE_PATH" };
const PACKAGE: Record<MediaTool, string> = { ffmpeg: "ffmpeg-static", ffprobe: "@ffprobe-installer/ffprobe" };

const run = promisify(execFile);

/**
 * Finds ffmpeg and ffprobe, each at least 5.1: in `FFMPEG_PATH` and `FFPROBE_PATH` (no other place is tried if a given
 * path does not work), then in the optional npm packages and on `PATH`. Never throws.
 */
export async function findMediaTools(options: FindMediaToolsOptions = {}): Promise<MediaToolsResult> {
  const [ffmpeg, ffprobe] = await Promise.all([find("ffmpeg", options), find("ffprobe", options)]);
  if (ffmpeg.name === "missing" || ffprobe.name === "missing") {
    return {
      name: "missing",
      problems: [ffmpeg, ffprobe].flatMap((one) => (one.name === "missing" ? one.problem : [])),
    };
  }
  return {
    name: "found",
    tools: {
      ffmpegPath: ffmpeg.path,
      ffmpegVersion: ffmpeg.version,
      ffprobePath: ffprobe.path,
      ffprobeVersion: ffprobe.version,
    },
  };
}

/**
 * Returns the version in the output of `-version`, such as `5.1.9-0+deb12u1`, `n7.0`, `2023-02-22-git-…` or
 * `N-66595-g…-static`.
 */
export function versionOf(output: string): string | undefined {
  return /^ff\w+ version (\S+)/m.exec(output)?.[1];
}

/** Returns true if a version is at least 5.1. Builds from the repository have no release number and count as newer. Pure. */
export function isNewEnough(version: string): boolean {
  const release = /^n?(\d+)\.(\d+)/i.exec(version);
  if (release === null) return /^(N-\d+|git-|\d{4}-\d{2}-\d{2})/.test(version);
  const [wantedMajor = 0, wantedMinor = 0] = MIN_FFMPEG_VERSION.split(".").map(Number);
  const [major, minor] = [Number(release[1]), Number(release[2])];
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

type Found =
  | { readonly name: "found"; readonly path: string; readonly version: string }
  | { readonly name: "missing"; readonly problem: MediaToolProblem };

async function find(tool: MediaTool, options: FindMediaToolsOptions): Promise<Found> {
  const tried: string[] = [];
  for (const candidate of candidatesFor(tool, options)) {
    const version = await versionAt(candidate.command, options.env ?? process.env);
    if (version !== undefined && isNewEnough(version)) return { name: "found", path: candidate.command, version };
    tried.push(
      version === undefined
        ? `${candidate.from}: cannot be run`
        : `${candidate.from}: is version ${version}, older than ${MIN_FFMPEG_VERSION}`,
    );
  }
  return { name: "missing", problem: { tool, tried, message: messageFor(tool, tried) } };
}

function candidatesFor(tool: MediaTool, options: FindMediaToolsOptions): Candidate[] {
  const variable = PATH_VARIABLE[tool];
  const given = (options.env ?? process.env)[variable];
  // If an operator names a program that does not work, using another one would hide the mistake.
  if (given !== undefined && given !== "") return [{ from: `${variable} (${given})`, command: given }];
  const path = (options.packagedPath ?? installedPath)(tool);
  const packaged = path === undefined ? [] : [{ from: `the npm package ${PACKAGE[tool]}`, command: path }];
  const onPath = { from: `${tool} on PATH`, command: tool };
  // The packaged ffprobe (a static build of 2023) crashes on every HLS source, so it comes last.
  return tool === "ffprobe" ? [onPath, ...packaged] : [...packaged, onPath];
}

/**
 * Returns the path of the program in its npm package. ffmpeg-static exports the path. The ffprobe package exports an
 * object with the path and throws if it has no program.
 */
function installedPath(tool: MediaTool): string | undefined {
  try {
    const exported: unknown = createRequire(import.meta.url)(PACKAGE[tool]);
    const path: unknown = typeof exported === "string" ? exported : Reflect.get(Object(exported), "path");
    // If the download of ffmpeg-static failed, the path points to a missing file.
    return typeof path === "string" && existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

async function versionAt(
  command: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  try {
    const { stdout } = await run(command, ["-version"], { env: { ...env }, timeout: 10_000, windowsHide: true });
    return versionOf(stdout);
  } catch {
    return undefined;
  }
}

function messageFor(tool: MediaTool, tried: readonly string[]): string {
  return (
    `${tool} ${MIN_FFMPEG_VERSION} or newer is needed and was not found (${tried.join("; ")}). ` +
    "Install it with `apt-get install ffmpeg` (Debian 12, Ubuntu 22.10 or newer) or `brew install ffmpeg`, " +
    `or set ${PATH_VARIABLE[tool]} to the path of the program.`
  );
}
