import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

interface PageFile {
  readonly type: string;
  readonly bytes: Buffer;
}

const require = createRequire(import.meta.url);

const HTML = "text/html; charset=utf-8";
const SCRIPT = "text/javascript; charset=utf-8";

const own = (name: string): URL => new URL(`./page/${name}`, import.meta.url);

/** The only files that are served; mpegts.js comes from its package, so that the page works offline. */
const FILES: Readonly<Record<string, { readonly type: string; readonly url: () => URL }>> = {
  "element.js": { type: SCRIPT, url: () => own("element.js") },
  "rooms.html": { type: HTML, url: () => own("rooms.html") },
  "rooms.js": { type: SCRIPT, url: () => own("rooms.js") },
  "watch.html": { type: HTML, url: () => own("watch.html") },
  "watch.js": { type: SCRIPT, url: () => own("watch.js") },
  "emulator.css": { type: "text/css; charset=utf-8", url: () => own("emulator.css") },
  "mpegts.js": { type: SCRIPT, url: () => pathToFileURL(require.resolve("mpegts.js")) },
};

/** Returns one file of the emulator's pages, or undefined if no file has this name. */
export async function readPageFile(name: string): Promise<PageFile | undefined> {
  const file = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
  if (file === undefined) return undefined;
  return { type: file.type, bytes: await readFile(file.url()) };
}
