import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { reaper } from "../stack/reaper.ts";

const FOLDER = fileURLToPath(new URL("../../../.roomcast", import.meta.url));

/**
 * Writes shell variables to a file that only this user may read and that goes with this process.
 *
 * @returns its path, for `. <path>`
 */
export async function writeVariables(name: string, variables: Readonly<Record<string, string>>): Promise<string> {
  const path = join(FOLDER, name);
  await mkdir(FOLDER, { recursive: true });
  // Written anew: the mode of a file that is there would stay.
  await rm(path, { force: true });
  const lines = Object.entries(variables).map(([variable, value]) => `${variable}='${value}'\n`);
  await writeFile(path, lines.join(""), { mode: 0o600 });
  reaper().addFolder(path);
  return path;
}
