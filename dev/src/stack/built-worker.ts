import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const WORKER = new URL("../../../worker/", import.meta.url);

/** The program of the deployed worker, which `buildWorker` makes. */
export const BUILT_WORKER = fileURLToPath(new URL("dist/main.js", WORKER));

/** Bundles the worker into `BUILT_WORKER`. */
export async function buildWorker(): Promise<void> {
  await promisify(execFile)(process.execPath, [fileURLToPath(new URL("build.mjs", WORKER))]);
}
