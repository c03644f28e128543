import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { runFfmpeg } from "../../media/flv/sample-flv.test-support.ts";

interface Packet {
  readonly codec_type: string;
  readonly dts_time: string;
  readonly pts_time: string;
  readonly flags: string;
  readonly data: string;
}

/**
 * Returns two seconds of HEVC with B-frames and of AAC as FLV tags, either with the codec number 12 of Chinese CDNs or
 * in the form of Enhanced RTMP. Before version 6.1 ffmpeg itself writes neither form.
 */
export async function hevcTags(form: "number 12" | "enhanced"): Promise<FlvTag[]> {
  const folder = await mkdtemp(path.join(tmpdir(), "hevc-tags-"));
  try {
    const file = path.join(folder, "sample.mp4");
    const picture = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=2", "-f", "lavfi", "-i", "sine=r=48000:d=2"];
    const video = "-c:v libx265 -preset ultrafast -x265-params log-level=none:bframes=2:keyint=25 -pix_fmt yuv420p";
    await runFfmpeg(["-v", "error", ...picture, ...video.split(" "), "-c:a", "aac", file]);
    const shown = await runFfmpeg(
      `-v error -show_packets -show_streams -show_data -of json ${file}`.split(" "),
      "ffprobe",
    );
    // SAFETY: ffprobe's JSON has the requested fields.
    const { streams, packets } = JSON.parse(shown.toString()) as {
      streams: { codec_type: string; extradata: string }[];
      packets: Packet[];
    };
    const headers = streams.map(({ codec_type: kind, extradata }): FlvTag => {
      const data = bytesOf(extradata);
      return kind === "video"
        ? { kind: "video", timestampMs: 0, payload: Buffer.concat([videoHead(form, true, true, 0), data]) }
        : { kind: "audio", timestampMs: 0, payload: Buffer.concat([Buffer.from([0xaf, 0]), data]) };
    });
    const firstMs = Math.min(...packets.map(dtsMs));
    const media = packets.map((packet): FlvTag => {
      const timestampMs = dtsMs(packet) - firstMs;
      if (packet.codec_type === "audio") {
        return { kind: "audio", timestampMs, payload: Buffer.concat([Buffer.from([0xaf, 1]), bytesOf(packet.data)]) };
      }
      const compositionMs = Math.round(Number(packet.pts_time) * 1000) - dtsMs(packet);
      const head = videoHead(form, false, packet.flags.includes("K"), compositionMs);
      return { kind: "video", timestampMs, payload: Buffer.concat([head, bytesOf(packet.data)]) };
    });
    return [...headers, ...media.toSorted((a, b) => a.timestampMs - b.timestampMs)];
  } finally {
    await rm(folder, { recursive: true });
  }
}

function videoHead(form: "number 12" | "enhanced", header: boolean, keyframe: boolean, compositionMs: number): Buffer {
  const frameType = keyframe ? 0x10 : 0x20;
  const composition = Buffer.alloc(3);
  composition.writeIntBE(compositionMs, 0, 3);
  if (form === "number 12") return Buffer.concat([Buffer.from([frameType | 12, header ? 0 : 1]), composition]);
  const head = Buffer.from([0x80 | frameType | (header ? 0 : 1), ...Buffer.from("hvc1")]);
  return header ? head : Buffer.concat([head, composition]);
}

function dtsMs({ dts_time: seconds }: Packet): number {
  return Math.round(Number(seconds) * 1000);
}

/** Reads the bytes of a hex dump: an offset, eight groups of four digits, then the bytes as characters. */
function bytesOf(dump: string): Buffer {
  const lines = dump.split("\n").filter((line) => line.includes(": "));
  return Buffer.from(lines.map((line) => line.slice(line.indexOf(": ") + 2, 50).replaceAll(" ", "")).join(""), "hex");
}
