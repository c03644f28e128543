import { describe, expect, it } from "vitest";
import { readCapabilities } from "./media-capabilities.ts";

const protocols = (inputs: string[], outputs: string[]) =>
  ["Supported file protocols:", "Input:", ...inputs.map((name) => `  ${name}`), "Output:"]
    .concat(outputs.map((name) => `  ${name}`))
    .join("\n");
const filters = (...lines: string[]) => ["Filters:", "  T.. = Timeline support", ...lines, ""].join("\n");
const TONEMAP = " .S. tonemap           V->V       Conversion to/from different dynamic ranges.";
const TONEMAP_OPENCL = " ... tonemap_opencl    V->V       Perform HDR to SDR conversion with tonemapping.";
const ZSCALE = " .SC zscale            V->V       Apply resizing, colorspace and bit depth conversion.";

describe("readCapabilities", () => {
  it.each([
    ["a build with everything", ["http", "srt"], [TONEMAP, ZSCALE], { srt: true, toneMapping: true }],
    ["a build with neither", ["http", "srtp"], [], { srt: false, toneMapping: false }],
    [
      "a build with tonemap but without zscale",
      ["http"],
      [TONEMAP, TONEMAP_OPENCL],
      { srt: false, toneMapping: false },
    ],
    [
      "a build with another tonemap filter only",
      ["http"],
      [TONEMAP_OPENCL, ZSCALE],
      { srt: false, toneMapping: false },
    ],
  ])("reads the protocols and filters of %s", (_name, inputs, lines, expected) => {
    expect(readCapabilities({ protocols: protocols(inputs, ["srt"]), filters: filters(...lines) })).toMatchObject(
      expected,
    );
  });

  const CODECS = `Codecs:
 D..... = Decoding supported
 .E.... = Encoding supported
 -------
 DEV.L. av1                  Alliance for Open Media AV1 (decoders: libdav1d av1 ) (encoders: libsvtav1 )
 ..V.L. avs3                 AVS3
 DEA.L. aac                  AAC (Advanced Audio Coding) (decoders: aac aac_fixed )
`;

  it("reads the decodable codecs from their marks", () => {
    const { decodes, decodesUsac } = readCapabilities({ codecs: CODECS, version: "ffmpeg version 5.1.9-0+deb12u1" });
    expect([...(decodes ?? [])]).toEqual(["av1", "aac"]);
    expect(decodesUsac).toBe(false);
  });

  it.each([
    ["ffmpeg version 7.1.1", CODECS, true],
    ["ffmpeg version n8.0", CODECS, true],
    ["ffmpeg version 7.0.2", CODECS, false],
    ["ffmpeg version N-66595-gc2b38619c0-static", CODECS, false],
    ["ffmpeg version 5.1", CODECS.replace("aac_fixed )", "aac_fixed libfdk_aac )"), true],
  ])("knows from %s and its codecs whether ffmpeg decodes xHE-AAC", (version, codecs, expected) => {
    expect(readCapabilities({ codecs, version }).decodesUsac).toBe(expected);
  });
});
