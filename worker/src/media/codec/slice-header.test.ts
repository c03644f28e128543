import { beforeAll, describe, expect, test } from "vitest";
import { sampleFlv } from "../flv/sample-flv.test-support.ts";
import { parseAvcConfig } from "./avc-config.ts";
import { CodecError } from "./codec-error.ts";
import { parsePps } from "./pps.ts";
import { type ParameterSets, parseSliceHeader, type SliceHeader } from "./slice-header.ts";

interface Clip {
  readonly sets: ParameterSets;
  readonly pps: Uint8Array;
  /** The first slice of each picture. */
  readonly slices: readonly Buffer[];
}

async function clipOf(params: string): Promise<Clip> {
  const video = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-x264-params", `keyint=8:scenecut=0:no-info=1:${params}`];
  const tags = await sampleFlv({ seconds: 0.48, fps: 25, video, audio: [], size: "64x48" });
  const bodies = tags.filter((tag) => tag.kind === "video").map((tag) => tag.payload);
  const { sps, ppsUnits } = parseAvcConfig((bodies[0] ?? Buffer.alloc(0)).subarray(5));
  const pps = ppsUnits[0] ?? new Uint8Array();
  const slices = bodies.slice(1).map((body) => {
    let at = 5;
    // Supplemental information (type 6) may come first.
    while (((body[at + 4] ?? 0) & 0x1f) === 6) at += 4 + body.readUInt32BE(at);
    return body.subarray(at + 4, at + 4 + body.readUInt32BE(at));
  });
  return { sets: { sps, pps: parsePps(pps) }, pps, slices };
}

function headersOf(clip: Clip): SliceHeader[] {
  return clip.slices.map((slice) => parseSliceHeader(slice, () => clip.sets));
}

let plain: Clip;
let reordered: Clip;

beforeAll(async () => {
  [plain, reordered] = await Promise.all([
    clipOf("bframes=0:ref=3:weightp=2"),
    clipOf("bframes=2:b-adapt=0:b-pyramid=strict:ref=3:weightp=2:cabac=0"),
  ]);
});

describe("slice headers of a real encoder", () => {
  test("count the pictures since the last keyframe", () => {
    const headers = headersOf(plain);
    expect(headers.map((header) => header.type).join("")).toBe("IPPPPPPPIPPP");
    expect(headers.map((header) => header.frameNum)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3]);
    expect(headers.every((header) => header.reference && header.adaptiveMarking.length === 0)).toBe(true);
    expect(plain.sets.pps).toMatchObject({ id: 0, spsId: 0, entropyCodingMode: true, weightedPred: true });
  });

  test("tell B pictures, their order, and which pictures others are predicted from", () => {
    const headers = headersOf(reordered);
    expect(headers.map((header) => header.type)).toContain("B");
    expect(headers.some((header) => !header.reference)).toBe(true);
    const group = headers.slice(
      0,
      headers.findIndex((header, index) => index > 0 && header.idr),
    );
    expect(new Set(group.map((header) => header.picOrderCntLsb)).size).toBe(group.length);
    expect(reordered.sets.pps.entropyCodingMode).toBe(false);
  });
});

function outcome(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    return error;
  }
}

function* spoilt(bytes: Buffer): Generator<Buffer> {
  for (let length = 0; length < bytes.length; length += 1) yield bytes.subarray(0, length);
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    yield flipped;
  }
}

describe("hostile bytes", () => {
  test("in a slice or a PPS are read or refused with the one typed error", () => {
    const results: unknown[] = [];
    for (const { sets, slices, pps } of [plain, reordered]) {
      for (const slice of slices) {
        for (const bytes of spoilt(slice.subarray(0, 24))) {
          results.push(outcome(() => parseSliceHeader(bytes, (id) => (id === 0 ? sets : undefined)).type));
        }
      }
      for (const bytes of spoilt(Buffer.from(pps))) results.push(outcome(() => parsePps(bytes).id));
    }
    const refused = results.filter((result) => result instanceof CodecError).length;
    const read = results.filter((result) => typeof result === "number" || typeof result === "string").length;
    expect(refused + read).toBe(results.length);
    expect(refused).toBeGreaterThan(100);
  });

  test("that ask for endless commands are refused", () => {
    const slice = Buffer.concat([Buffer.from([0x41]), Buffer.alloc(4096, 0xff)]);
    expect(outcome(() => parseSliceHeader(slice, () => plain.sets))).toBeInstanceOf(CodecError);
  });

  test("several slice groups are refused", () => {
    // ids 0 and 0, no CABAC, no field order, num_slice_groups_minus1 1.
    expect(() => parsePps(Buffer.from([0x68, 0b1100_0100, 0xff, 0xff]))).toThrow("slice groups");
  });
});
