// This is the second process of reaper.ts. It reads `["+group", 123]`, `["-folder", "/tmp/x"]` … line by line; when the pipe ends,
// its parent is gone: it kills what is still on its lists and ends.
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

/** @type {Set<number>} */
const groups = new Set();
/** @type {Set<string>} */
const folders = new Set();

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, what] = JSON.parse(line);
  if (verb === "+group") groups.add(what);
  if (verb === "-group") groups.delete(what);
  if (verb === "+folder") folders.add(what);
  if (verb === "-folder") folders.delete(what);
}
for (const group of groups) {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // The process has ended meanwhile.
  }
}
for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
