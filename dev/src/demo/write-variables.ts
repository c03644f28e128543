import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { reaper } from "../stack/reaper.ts";

/** The folder in which the commands of this clone keep their files. */
export const OWN_FOLDER = fileURLToPath(new URL("../../../.roomcast", import.meta.url));

export interface WriteVariablesOptions {
  /** Which command writes them. */
  readonly command: "demo" | "dev";
  readonly variables: Readonly<Record<string, string>>;
  readonly folder?: string;
}

/**
 * Writes shell variables to a file that only this user may read and that is removed when this process ends. Its name
 * contains the process id, so another run of the same command has another file.
 *
 * @returns its path, for `. <path>`
 */
export async function writeVariables(options: WriteVariablesOptions): Promise<string> {
  const { command, variables, folder = OWN_FOLDER } = options;
  const path = join(folder, `${command}-${process.pid}.env`);
  await mkdir(folder, { recursive: true });
  // An existing file is removed first, because it would keep its mode.
  await rm(path, { force: true });
  const lines = Object.entries(variables).map(([variable, value]) => `${variable}='${value}'\n`);
  await writeFile(path, lines.join(""), { mode: 0o600 });
  reaper().addFolder(path);
  return path;
}
