// Every npm script runs through this: `node dev/bootstrap.mjs <demo|dev|test|bench|check> …`.
// It runs on Node 20 without any package, installs the packages when they are not there, and hands over to
// dev/src/setup/main.ts under the Node that the packages bring.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { installPackages } from "./bootstrap/install-packages.mjs";
import { missingPackages } from "./bootstrap/installed-packages.mjs";
import { withLock } from "./bootstrap/setup-lock.mjs";

const OLDEST_NODE = 20;
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BIN = join(ROOT, "node_modules", ".bin");

/**
 * @param {string} path
 * @returns {import("./bootstrap/installed-packages.mjs").Lockfile | undefined}
 */
function readLockfile(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

function allPackagesAreThere() {
  const wanted = readLockfile(join(ROOT, "package-lock.json"));
  const installed = readLockfile(join(ROOT, "node_modules", ".package-lock.json"));
  return wanted !== undefined && missingPackages(wanted, installed).length === 0;
}

async function ensurePackages() {
  if (allPackagesAreThere()) return true;
  return withLock(
    join(ROOT, ".roomcast", "setup.lock"),
    () => process.stderr.write("Waiting for another process that is installing the packages.\n"),
    async () => allPackagesAreThere() || (await installPackages(ROOT)),
  );
}

/**
 * @param {string[]} args
 * @returns {Promise<number>} the exit code
 */
function handOver(args) {
  const path = [BIN, ...(process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== BIN)];
  // The channel closes when this process ends in any way, so that the child notices it.
  const child = spawn(join(BIN, "node"), [join(ROOT, "dev", "src", "setup", "main.ts"), ...args], {
    cwd: ROOT,
    env: { ...process.env, PATH: path.join(delimiter) },
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
    process.on(signal, () => child.kill(signal));
  }
  return new Promise((resolve) => {
    child.once("error", (error) => {
      process.stderr.write(`The Node of the packages does not start: ${error.message}\n`);
      resolve(1);
    });
    child.once("exit", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}

if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  process.stderr.write(`This is Node ${process.versions.node}; Node ${OLDEST_NODE} or newer is needed.\n`);
  process.exitCode = 1;
} else {
  process.exitCode = (await ensurePackages()) ? await handOver(process.argv.slice(2)) : 1;
}
