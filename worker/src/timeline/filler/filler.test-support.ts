import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { parseTagBody } from "../../flv/flv-tag.ts";
import { type FlvTag, flvHeader, flvTagSlices } from "../../flv/flv-writer.ts";
import type { MediaTag } from "../../source/media-tag.ts";

/** What ffmpeg says of an FLV stream. For tests. */
export interface Verdict {
  /** Each shown picture or sound frame: when, and the MD5 of its samples. */
  readonly frames: readonly { readonly timestampMs: number; readonly md5: string }[];
  /** Errors and warnings; empty: none. */
  readonly complaints: string;
}

/** Decodes one track, strictly, and shows what comes out. For tests. */
export async function judge(tags: readonly FlvTag[], track: "video" | "audio"): Promise<Verdict> {
  const select = track === "video" ? ["-an", "-fps_mode", "passthrough"] : ["-vn"];
  const strict = ["-v", "warning", "-nostdin", "-threads", "1", "-xerror", "-err_detect", "explode"];
  const args = [...strict, "-f", "flv", "-i", "pipe:0", ...select, "-f", "framemd5", "pipe:1"];
  const child = spawn(process.env["FFMPEG_PATH"] ?? "ffmpeg", args, { stdio: ["pipe", "pipe", "pipe"] });
  // A decoder that gives up closes its input; its complaint and its exit code say so.
  child.stdin.on("error", () => {});
  child.stdin.end(flvFile(tags));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const [report, complaints, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  const tick = Number(/^#tb 0: 1\/(\d+)$/m.exec(report)?.[1] ?? 1000);
  const rows = report.split("\n").filter((line) => /^\d/.test(line));
  const frames = rows.map((row) => {
    const columns = row.split(",").map((column) => column.trim());
    return { timestampMs: (Number(columns[2]) * 1000) / tick, md5: columns[5] ?? "" };
  });
  return { frames, complaints: code === 0 ? complaints : `${complaints}\nexit code ${code}` };
}

/** The tags that carry H.264 or AAC, as a source gives them. For tests. */
export function mediaTags(tags: readonly FlvTag[]): MediaTag[] {
  return tags.flatMap(({ kind, timestampMs, payload }) => {
    const tag = kind === "data" ? null : parseTagBody(kind, timestampMs, payload);
    return tag === null ? [] : [tag];
  });
}

function flvFile(tags: readonly FlvTag[]): Buffer {
  const has = (kind: FlvTag["kind"]) => tags.some((tag) => tag.kind === kind);
  return Buffer.concat([flvHeader({ audio: has("audio"), video: has("video") }), ...tags.flatMap(flvTagSlices)]);
}
