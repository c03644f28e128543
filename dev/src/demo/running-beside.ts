import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { OWN_FOLDER } from "./write-variables.ts";

/** Another `npm run dev` of this clone. */
export interface RunningBeside {
  readonly pid: number;
  readonly edgeUrl: string;
}

/**
 * Finds other runs of `npm run dev` in this clone, by the files that they have written. A file whose process is gone is
 * removed, also one of the demo. Such a file is left when the reaper was killed too.
 */
export async function runningBeside(folder: string = OWN_FOLDER): Promise<RunningBeside[]> {
  const running: RunningBeside[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const [, kind, digits] = /^(dev|demo)-(\d+)\.env$/.exec(name) ?? [];
    const pid = Number(digits);
    if (Number.isNaN(pid) || pid === process.pid) continue;
    const path = join(folder, name);
    if (!isAlive(pid)) {
      await rm(path, { force: true });
      continue;
    }
    if (kind !== "dev") continue;
    const text = await readFile(path, "utf8").catch(() => "");
    const edgeUrl = /^EDGE='(.*)'$/m.exec(text)?.[1];
    if (edgeUrl !== undefined) running.push({ pid, edgeUrl });
  }
  return running;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // The process exists and belongs to another user.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
