import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { type CpuTimes, parseAllowedCores, parseGroupPath, parseGroupUsage, parseProcStat } from "./cpu-times.ts";

const GROUPS = "/sys/fs/cgroup";

/**
 * Reads the counters. Never rejects: counters that cannot be read are null. On Linux, files are read asynchronously;
 * `os.cpus()` would also ask each core for its clock rate, which blocks for milliseconds on large machines.
 */
export async function readCpuTimes(): Promise<CpuTimes> {
  if (process.platform !== "linux") return { atMs: performance.now(), machine: timesOfAll(), groupMs: null };
  const [stat, status, groupMs] = await Promise.all([
    textOf("/proc/stat"),
    textOf("/proc/self/status"),
    readGroupUsage(),
  ]);
  return { atMs: performance.now(), machine: parseProcStat(stat, parseAllowedCores(status)), groupMs };
}

async function readGroupUsage(): Promise<number | null> {
  const path = parseGroupPath(await textOf("/proc/self/cgroup"));
  return path === null ? null : parseGroupUsage(await textOf(join(GROUPS, path, "cpu.stat")));
}

/** Returns an empty text if the file cannot be read. */
async function textOf(path: string): Promise<string> {
  return await readFile(path, "utf8").catch(() => "");
}

function timesOfAll(): CpuTimes["machine"] {
  let [busy, total] = [0, 0];
  for (const { times } of cpus()) {
    const working = times.user + times.nice + times.sys + times.irq;
    busy += working;
    total += working + times.idle;
  }
  return total > 0 ? { busy, total } : null;
}
