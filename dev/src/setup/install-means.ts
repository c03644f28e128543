import { execFile } from "node:child_process";
import { access, constants, readdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import type { InstallMeans } from "./tool-install-plan.ts";

const run = promisify(execFile);
const APT_LISTS = "/var/lib/apt/lists";

/** Finds this machine's means for installing programs, without a prompt. */
export async function findInstallMeans(): Promise<InstallMeans> {
  if (await onPath("apt-get")) {
    return { manager: "apt-get", rights: await findRights(), hasPackageLists: await hasPackageLists() };
  }
  return { manager: (await onPath("brew")) ? "brew" : "none", rights: "none", hasPackageLists: true };
}

async function findRights(): Promise<InstallMeans["rights"]> {
  if (process.getuid?.() === 0) return "root";
  try {
    // -n: fails instead of asking for a password.
    await run("sudo", ["-n", "true"]);
    return "sudo";
  } catch {
    return "none";
  }
}

async function hasPackageLists(): Promise<boolean> {
  try {
    return (await readdir(APT_LISTS)).some((name) => name.includes("_Packages"));
  } catch {
    return false;
  }
}

async function onPath(program: string): Promise<boolean> {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const found = await Promise.all(
    folders.map((folder) =>
      access(join(folder, program), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}
