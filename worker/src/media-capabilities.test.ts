import { expect, it } from "vitest";
import { readCapabilities } from "./media-capabilities.ts";

const protocols = (inputs: string[], outputs: string[]) =>
  ["Supported file protocols:", "Input:", ...inputs.map((name) => `  ${name}`), "Output:"]
    .concat(outputs.map((name) => `  ${name}`))
    .join("\n");
const filters = (...lines: string[]) => ["Filters:", "  T.. = Timeline support", ...lines, ""].join("\n");
const TONEMAP = " .S. tonemap           V->V       Conversion to/from different dynamic ranges.";
const TONEMAP_OPENCL = " ... tonemap_opencl    V->V       Perform HDR to SDR conversion with tonemapping.";
const ZSCALE = " .SC zscale            V->V       Apply resizing, colorspace and bit depth conversion.";

it.each([
  ["a build with everything", ["http", "srt"], [TONEMAP, ZSCALE], { srt: true, toneMapping: true }],
  ["one with neither", ["http", "srtp"], [], { srt: false, toneMapping: false }],
  ["tonemap without zscale", ["http"], [TONEMAP, TONEMAP_OPENCL], { srt: false, toneMapping: false }],
  ["another tonemap than the one that is used", ["http"], [TONEMAP_OPENCL, ZSCALE], { srt: false, toneMapping: false }],
])("what an ffmpeg can do is read from what it prints: %s", (_name, inputs, lines, expected) => {
  expect(readCapabilities({ protocols: protocols(inputs, ["srt"]), filters: filters(...lines) })).toEqual(expected);
});
