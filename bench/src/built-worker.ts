import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const WORKER = new URL("../../worker/", import.meta.url);

/**
 * Bundles the worker as it is deployed: what is measured is what runs.
 *
 * @returns the path of the program
 */
export async function builtWorker(): Promise<string> {
  await promisify(execFile)(process.execPath, [fileURLToPath(new URL("build.mjs", WORKER))]);
  return fileURLToPath(new URL("dist/main.js", WORKER));
}
