import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { promisify } from "node:util";

/** The programs that sources need, as they were found. */
export interface MediaTools {
  readonly ffmpegPath: string;
  /** As the program writes it: `5.1.9-0+deb12u1`, `N-66595-gc2b38619c0-static`, … */
  readonly ffmpegVersion: string;
  readonly ffprobePath: string;
  readonly ffprobeVersion: string;
}

export type MediaTool = "ffmpeg" | "ffprobe";

/** Why there is no usable program, and what to do about it. */
export interface MediaToolProblem {
  readonly tool: MediaTool;
  /** Each place that was looked at and what was wrong there, in order. */
  readonly tried: readonly string[];
  /** For people: what is missing and what to run. */
  readonly message: string;
}

export type MediaToolsResult =
  | { readonly name: "found"; readonly tools: MediaTools }
  | { readonly name: "missing"; readonly problems: readonly MediaToolProblem[] };

/** The oldest version that knows every option that is used. */
const MIN_FFMPEG_VERSION = "5.1";

export interface FindMediaToolsOptions {
  /** `FFMPEG_PATH`, `FFPROBE_PATH` and `PATH`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The path in an npm package that brings the program; undefined: it is not installed. */
  readonly packagedPath?: (tool: MediaTool) => string | undefined;
}

interface Candidate {
  /** In words, for a problem. */
  readonly from: string;
  readonly command: string;
}

const PATH_VARIABLE: Record<MediaTool, string> = { ffmpeg: "FFMPEG_PATH", ffprobe: "FFPROBE_PATH" };
const PACKAGE: Record<MediaTool, string> = { ffmpeg: "ffmpeg-static", ffprobe: "@ffprobe-installer/ffprobe" };

const run = promisify(execFile);

/**
 * Finds ffmpeg and ffprobe, each at least 5.1: in `FFMPEG_PATH` and `FFPROBE_PATH` (a path that is given and does not
 * work is not passed over), then in the optional npm packages and on `PATH`. Never throws.
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

/** `5.1.9-0+deb12u1`, `n7.0`, `2023-02-22-git-…`, `N-66595-g…-static`: what stands behind `ffmpeg version`. */
export function versionOf(output: string): string | undefined {
  return /^ff\w+ version (\S+)/m.exec(output)?.[1];
}

/** Builds straight from the repository carry no release number; those in use are newer than 5.1. Pure. */
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
  // Whoever names a program wants that one: another one in its place would hide the mistake.
  if (given !== undefined && given !== "") return [{ from: `${variable} (${given})`, command: given }];
  const path = (options.packagedPath ?? installedPath)(tool);
  const packaged = path === undefined ? [] : [{ from: `the npm package ${PACKAGE[tool]}`, command: path }];
  const onPath = { from: `${tool} on PATH`, command: tool };
  // The packaged ffprobe (a static build of 2023) crashes on every HLS source, so it comes last.
  return tool === "ffprobe" ? [onPath, ...packaged] : [...packaged, onPath];
}

/** ffmpeg-static exports the path, the ffprobe package an object that holds it and throws where it has no program. */
function installedPath(tool: MediaTool): string | undefined {
  try {
    const exported: unknown = createRequire(import.meta.url)(PACKAGE[tool]);
    const path: unknown = typeof exported === "string" ? exported : Reflect.get(Object(exported), "path");
    // The download of ffmpeg-static may have failed, and left a path to nothing.
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
