import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { readImports, upwardImports } from "./import-floors.ts";

/** The repository. */
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const PACKAGES = ["shared", "edge", "worker", "dev", "e2e", "bench"] as const;

/**
 * Checks each package for folders that use each other, and prints the imports between them.
 *
 * @returns 0 if each folder uses only folders below it, else 1
 */
export async function checkImportFloors(): Promise<number> {
  let found = 0;
  for (const name of PACKAGES) {
    const root = `${ROOT}/${name}/src`;
    const upward = upwardImports(await readImports(root, await readdir(root, { recursive: true })));
    for (const { from, to, wayBack } of upward) {
      process.stdout.write(`${name}/src/${from} imports ${to}, and ${wayBack.join(" → ")} leads back.\n`);
    }
    found += upward.length;
  }
  return found === 0 ? 0 : 1;
}
