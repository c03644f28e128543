import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Tool } from "./tool-install-plan.ts";

const run = promisify(execFile);

/** Which of the programs that the packages do not bring cannot be run here. */
export async function findMissingTools(wanted: readonly Tool[]): Promise<Tool[]> {
  const found = await Promise.all(wanted.map((tool) => (tool === "ffmpeg" ? canRunFfmpeg() : canRunRedis())));
  return wanted.filter((_tool, index) => found[index] === false);
}

async function canRunFfmpeg(): Promise<boolean> {
  const commands = [process.env["FFMPEG_PATH"] ?? "ffmpeg", process.env["FFPROBE_PATH"] ?? "ffprobe"];
  return (await Promise.all(commands.map((command) => canRun(command, "-version")))).every(Boolean);
}

function canRunRedis(): Promise<boolean> {
  return canRun(process.env["REDIS_SERVER_PATH"] ?? "redis-server", "--version");
}

async function canRun(command: string, versionOption: string): Promise<boolean> {
  try {
    await run(command, [versionOption]);
    return true;
  } catch {
    return false;
  }
}
