import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 250;

/**
 * Runs `work` while no other process does the same. A lock of a process that is gone is taken over.
 *
 * @template T
 * @param {string} path the lock file, which holds the owner's process id
 * @param {() => void} onWait called once when another process holds the lock
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(path, onWait, work) {
  mkdirSync(dirname(path), { recursive: true });
  for (let waited = false; !take(path); waited = true) {
    if (!waited) onWait();
    await delay(POLL_MS);
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

/** @param {string} path */
function take(path) {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  }
  // Another process may be between creating the file and writing its id, or may just have removed it.
  if (!ownerIsAlive(path)) rmSync(path, { force: true });
  return false;
}

/** @param {string} path */
function ownerIsAlive(path) {
  try {
    const owner = Number(readFileSync(path, "utf8"));
    if (!Number.isInteger(owner) || owner <= 0) return true;
    process.kill(owner, 0);
    return true;
  } catch (error) {
    // EPERM: it lives and is another user's. ENOENT: the lock has just been given back.
    return hasCode(error, "EPERM") || hasCode(error, "ENOENT");
  }
}

/**
 * @param {unknown} error
 * @param {string} code
 */
function hasCode(error, code) {
  return error instanceof Error && "code" in error && error.code === code;
}
