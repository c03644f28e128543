import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** The optional features that the ffmpeg of this worker has. */
export interface MediaCapabilities {
  /** True if ffmpeg reads SRT (built with libsrt). */
  readonly srt: boolean;
  /** True if ffmpeg can tone-map HDR for ordinary screens (built with zimg). */
  readonly toneMapping: boolean;
  /** ffmpeg's names of the codecs that it decodes; undefined if unknown. */
  readonly decodes?: ReadonlySet<string> | undefined;
  /** True if ffmpeg decodes xHE-AAC (USAC): from version 7.1 on by itself, before that with libfdk_aac. */
  readonly decodesUsac?: boolean | undefined;
}

const run = promisify(execFile);

/** Asks ffmpeg for its features. This starts ffmpeg four times, so it is called once per process. */
export async function findMediaCapabilities(ffmpegPath: string): Promise<MediaCapabilities> {
  const ask = async (what: string) => (await run(ffmpegPath, ["-hide_banner", what], { windowsHide: true })).stdout;
  const [protocols, filters, codecs, version] = await Promise.all(
    ["-protocols", "-filters", "-codecs", "-version"].map(ask),
  );
  return readCapabilities({ protocols, filters, codecs, version });
}

/** What ffmpeg prints for the options `-protocols`, `-filters`, `-codecs` and `-version`. */
export interface PrintedCapabilities {
  readonly protocols?: string | undefined;
  readonly filters?: string | undefined;
  readonly codecs?: string | undefined;
  readonly version?: string | undefined;
}

/** Reads the features from ffmpeg's output. Pure. */
export function readCapabilities({
  protocols = "",
  filters = "",
  codecs = "",
  version = "",
}: PrintedCapabilities): MediaCapabilities {
  const [inputs = ""] = protocols.split(/^Output:/m);
  const hasFilter = (name: string) => new RegExp(String.raw`^ \S+ ${name} +\S+->`, "m").test(filters);
  const decodes = new Set(Array.from(codecs.matchAll(/^ D\S{5} (\w\S*)/gm), ([, name = ""]) => name));
  return {
    srt: /^ +srt$/m.test(inputs),
    toneMapping: hasFilter("zscale") && hasFilter("tonemap"),
    decodes: decodes.size === 0 ? undefined : decodes,
    decodesUsac: /\(decoders: [^)]*\blibfdk_aac\b/.test(codecs) || hasOwnUsac(version),
  };
}

function hasOwnUsac(version: string): boolean {
  const release = /^ffmpeg version n?(\d+)\.(\d+)/im.exec(version);
  if (release === null) return false;
  const [major, minor] = [Number(release[1]), Number(release[2])];
  return major > 7 || (major === 7 && minor >= 1);
}
