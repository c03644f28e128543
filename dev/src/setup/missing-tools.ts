import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { findMediaTools } from "@roomcast/worker/media-tools";
import type { Tool } from "./tool-install-plan.ts";

export interface MissingTool {
  readonly tool: Tool;
  /** A message for the user: what was looked for, where, and what to do. */
  readonly why: string;
  /** True where the user named a program that cannot be used: installing another one would not help him. */
  readonly named: boolean;
}

const run = promisify(execFile);

/** Which of the programs that the packages do not bring cannot be used here. */
export async function findMissingTools(wanted: readonly Tool[]): Promise<MissingTool[]> {
  const found = await Promise.all(wanted.map((tool) => (tool === "ffmpeg" ? missingMediaTools() : missingRedis())));
  return found.filter((missing) => missing !== undefined);
}

async function missingMediaTools(): Promise<MissingTool | undefined> {
  const result = await findMediaTools();
  if (result.name === "found") return undefined;
  return {
    tool: "ffmpeg",
    why: result.problems.map(({ message }) => message).join("\n"),
    named: result.problems.some(({ tool }) => isSet(tool === "ffmpeg" ? "FFMPEG_PATH" : "FFPROBE_PATH")),
  };
}

async function missingRedis(): Promise<MissingTool | undefined> {
  const named = isSet("REDIS_SERVER_PATH");
  try {
    await run(named ? String(process.env["REDIS_SERVER_PATH"]) : "redis-server", ["--version"]);
    return undefined;
  } catch {
    const where = named ? "the path in REDIS_SERVER_PATH" : "PATH";
    return { tool: "redis-server", why: `redis-server was not found on ${where}, or cannot be run.`, named };
  }
}

function isSet(variable: string): boolean {
  return (process.env[variable] ?? "") !== "";
}
