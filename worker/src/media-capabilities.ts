import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** What the ffmpeg at hand can do of what not every build of it can. */
export interface MediaCapabilities {
  /** It reads SRT (built with libsrt). */
  readonly srt: boolean;
  /** It maps the tones of HDR to those of ordinary screens (built with zimg). */
  readonly toneMapping: boolean;
}

const run = promisify(execFile);

/** Asks ffmpeg; once per process, because it costs two starts of it. */
export async function findMediaCapabilities(ffmpegPath: string): Promise<MediaCapabilities> {
  const ask = async (what: string) => (await run(ffmpegPath, ["-hide_banner", what], { windowsHide: true })).stdout;
  const [protocols, filters] = await Promise.all([ask("-protocols"), ask("-filters")]);
  return readCapabilities({ protocols, filters });
}

/** Reads what `ffmpeg -protocols` and `ffmpeg -filters` print. Pure. */
export function readCapabilities(printed: { readonly protocols: string; readonly filters: string }): MediaCapabilities {
  const [inputs = ""] = printed.protocols.split(/^Output:/m);
  const hasFilter = (name: string) => new RegExp(String.raw`^ \S+ ${name} +\S+->`, "m").test(printed.filters);
  return { srt: /^ +srt$/m.test(inputs), toneMapping: hasFilter("zscale") && hasFilter("tonemap") };
}
