import { parseAddressPolicy } from "@roomcast/shared";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Egress } from "../../egress/egress.ts";
import { findMediaCapabilities } from "../ffmpeg/media-capabilities.ts";
import { findMediaTools, type MediaTools } from "../ffmpeg/media-tools.ts";
import { MediaServer, readToEnd } from "../sources.test-support.ts";
import { decode, firstPicture } from "../written-flv.test-support.ts";
import { SourceFactory } from "./open-source.ts";

/** Luma codes, 10 bit: the white of a page (203 cd/m², ITU-R BT.2408), and what is nearly black (1 cd/m² in PQ). */
const WHITE = { smpte2084: 573, "arib-std-b67": 721 } as const;
const NEARLY_BLACK = 195;
const [WIDTH, HEIGHT] = [320, 180];

let tools: MediaTools;
let server: MediaServer;
let egress: Egress;

beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  tools = found.tools;
  server = await MediaServer.start();
  egress = new Egress({ policy: parseAddressPolicy(["127.0.0.1"]) });
});

afterAll(async () => {
  await egress.close();
  await server.stop();
});

/** Returns the mean luma, 8 bit, of the white and the dark half of the pushed picture. */
async function played(transfer: keyof typeof WHITE, toneMapping: boolean) {
  const halves = `geq=lum='if(lt(X,${WIDTH / 2}),${WHITE[transfer]},${NEARLY_BLACK})':cb=512:cr=512`;
  const input = ["-f", "lavfi", "-i", `color=c=gray:s=${WIDTH}x${HEIGHT}:r=25:d=0.4,format=yuv420p10le,${halves}`];
  const colours = `-color_primaries bt2020 -color_trc ${transfer} -colorspace bt2020nc`;
  const hevc = `-c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p10le ${colours} -tag:v hvc1`;
  const name = `${transfer}.mp4`;
  const url = server.serve(name, await server.make(name, ...input, ...hevc.split(" ")));
  const sources = await SourceFactory.start({ tools, egress, capabilities: { srt: false, toneMapping } });
  const { signal } = new AbortController();
  const source = await sources.open({ url, live: false, startAtMs: 0, signal, log: pino({ level: "silent" }) });
  const { tags, end } = await readToEnd(source);
  await source.close();
  await sources.close();
  expect(end).toEqual({ name: "finished" });
  const { video, colours: said, complaints } = await decode(tools.ffprobePath, tags);
  expect([video.pixelFormat, said, complaints]).toEqual(["yuv420p", "bt709, bt709", ""]);
  const luma = await firstPicture(tools.ffmpegPath, tags);
  const mean = (fromX: number) => {
    // The measured areas are away from the edge between the halves, which the encoder blurs.
    const columns = Array.from({ length: WIDTH / 2 - 32 }, (_, x) => fromX + 16 + x);
    return columns.reduce((sum, x) => sum + (luma[(HEIGHT / 2) * WIDTH + x] ?? 0), 0) / columns.length;
  };
  return { info: source.info, white: mean(0), dark: mean(WIDTH / 2) };
}

describe("SourceFactory with an HDR film", () => {
  it("tone-maps PQ with correct white and dark levels, or gives the reason when this ffmpeg cannot", async () => {
    const converted = await played("smpte2084", false);
    expect(converted.info.toneMapped).toBeUndefined();
    expect(converted.info.plan.reasons.join(" ")).toMatch(/HDR \(PQ\); rooms take BT.709: they are only converted/);
    // 16 is black and 235 the brightest white. Without tone mapping, white becomes a middle grey.
    expect(converted.white).toBeGreaterThan(converted.dark + 50);
    expect(converted.white).toBeLessThan(150);
    if (!(await findMediaCapabilities(tools.ffmpegPath)).toneMapping) return;
    const mapped = await played("smpte2084", true);
    expect(mapped.info).toMatchObject({ toneMapped: true, plan: { video: "transcode" } });
    expect(mapped.white).toBeGreaterThan(185);
    expect(mapped.white).toBeLessThan(225);
    expect(mapped.dark).toBeLessThan(converted.dark);
    expect(mapped.dark).toBeGreaterThan(18);
  }, 90_000);

  it("tone-maps HLG to the same white level as PQ", async () => {
    if (!(await findMediaCapabilities(tools.ffmpegPath)).toneMapping) return;
    const { white } = await played("arib-std-b67", true);
    expect(white).toBeGreaterThan(185);
    expect(white).toBeLessThan(225);
  }, 90_000);
});
