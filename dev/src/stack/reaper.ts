import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * Ends the process groups and removes the folders that this process leaves behind in any way: an exit handler
 * cannot run after `kill -9`, so a small second process waits on a pipe for the end of this one.
 */
export interface Reaper {
  /** The process group `groupId` dies with this process. */
  addGroup(groupId: number): void;
  /** The group has ended by itself; its number may be used again by the system. */
  removeGroup(groupId: number): void;
  /** The folder is removed with this process. */
  addFolder(path: string): void;
  removeFolder(path: string): void;
}

let shared: Reaper | undefined;

/** The one of this process. */
export function reaper(): Reaper {
  shared ??= startReaper();
  return shared;
}

function startReaper(): Reaper {
  const child = spawn(process.execPath, [fileURLToPath(new URL("reaper-process.mjs", import.meta.url))], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  // The reaper runs as long as this process and must not keep it alive.
  child.unref();
  child.stdin.on("error", () => {});
  unrefPipe(child);
  const say = (verb: string, what: string | number) => child.stdin.write(`${JSON.stringify([verb, what])}\n`);
  return {
    addGroup: (groupId) => say("+group", groupId),
    removeGroup: (groupId) => say("-group", groupId),
    addFolder: (path) => say("+folder", path),
    removeFolder: (path) => say("-folder", path),
  };
}

function unrefPipe(child: ChildProcess): void {
  // SAFETY: the pipe to a child is a net.Socket, which can be unreferenced; the types only promise a Writable.
  (child.stdin as { unref?: () => void } | null)?.unref?.();
}
