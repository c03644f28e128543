import { describe, expect, it } from "vitest";
import type { Plan } from "../plan/plan.ts";
import { type FfmpegArgumentsOptions, ffmpegArguments } from "./ffmpeg-arguments.ts";

const COPY: Plan = { video: { action: "copy" }, audio: { action: "copy" }, reasons: [] };
const PICTURE = { width: 1280, height: 720 } as const;
const TARGET = { ...PICTURE, fps: 25, bitRateKbps: 2000, holdBitRate: false, gopS: 2 } as const;
const SOUND = { sampleRateHz: 48_000, channels: 2, bitRateKbps: 128 } as const;
const ENCODE = {
  video: {
    action: "transcode",
    deinterlace: true,
    toBt709: false,
    tonesOf: undefined,
    picture: PICTURE,
    tempo: 1,
    ...TARGET,
  },
  audio: { action: "transcode", volume: 100, tempo: 1, doubled: false, ...SOUND },
  reasons: [],
} as const satisfies Plan;

function build(options: Partial<FfmpegArgumentsOptions> = {}) {
  const input = { kind: "url", url: "http://source.invalid/0/media.mp4" } as const;
  const { inputs, outputOptions } = ffmpegArguments({ input, plan: COPY, startAtMs: 0, live: false, ...options });
  return {
    inputs,
    input: inputs[0]?.options.join(" ") ?? "",
    second: inputs[1] === undefined ? undefined : `${inputs[1].options.join(" ")} -i ${inputs[1].source}`,
    output: outputOptions.join(" "),
  };
}

describe("ffmpegArguments", () => {
  it("reads the gateway over HTTP only and reconnects after a drop", () => {
    const { inputs, input } = build();
    expect(inputs.map(({ source }) => source)).toEqual(["http://source.invalid/0/media.mp4"]);
    expect(input).toContain("-protocol_whitelist http,tcp ");
    expect(input).toContain("-reconnect 1 -reconnect_delay_max 1");
    expect(input).toContain("-rw_timeout 30000000");
    expect(input).toContain("-nostdin");
  });

  it.each(["hls", "concat", "dash", "sdp", "rtsp", "image2", "lavfi"])(
    "does not let a source choose the demuxer %s",
    (name) => {
      const formats = build().inputs[0]?.options.at((build().inputs[0]?.options.indexOf("-format_whitelist") ?? 0) + 1);
      expect(formats?.split(",")).toContain("mpegts");
      expect(formats?.split(",")).not.toContain(name);
    },
  );

  it("writes FLV without file metadata and without an end of sequence", () => {
    const { output } = build();
    expect(output).toMatch(/-flvflags no_duration_filesize\+no_metadata\+no_sequence_end -f flv$/);
  });

  it.each<[string, Partial<FfmpegArgumentsOptions>]>([
    ["a copy", {}],
    ["an encode", { plan: ENCODE }],
    ["a live source", { live: true }],
    ["a stream on stdin", { input: { kind: "stream", format: "flv" }, live: true }],
  ])("neither paces nor flushes single packets for %s", (_name, options) => {
    const { input, output } = build(options);
    expect(`${input} ${output}`).not.toMatch(/-re\b(?!c)|-readrate|-flush_packets|nobuffer/);
  });

  it.each<[string, Partial<FfmpegArgumentsOptions>, RegExp, RegExp]>([
    ["from the start", {}, /-copyts -start_at_zero/, /-ss/],
    ["in the middle", { startAtMs: 2500 }, /-copyts -start_at_zero .*-ss 2\.500 -noaccurate_seek$/, /x{9}/],
    ["in the middle, encoded", { startAtMs: 2500, plan: ENCODE }, /-ss 2\.500$/, /noaccurate/],
    ["live, whatever the position", { startAtMs: 2500, live: true }, /rw_timeout/, /-ss|-copyts/],
  ])("%s", (_name, options, has, hasNot) => {
    expect(build(options).input).toMatch(has);
    expect(build(options).input).not.toMatch(hasNot);
  });

  it("continues after a damaged packet, in a copy and in an encode", () => {
    expect(build().input).not.toContain("-xerror");
    expect(build({ plan: ENCODE }).input).not.toContain("-xerror");
  });

  it("maps the probed tracks, else the first tracks that are not cover pictures", () => {
    expect(build().output).toMatch(/^-map 0:V:0 -map 0:a:0 /);
    expect(build({ videoIndex: 3, audioIndex: 1 }).output).toMatch(/^-map 0:3 -map 0:1 /);
  });

  it("encodes without B-frames and with a keyframe every 2 s", () => {
    const { output } = build({ plan: ENCODE });
    expect(output).toContain("-vf yadif=deint=interlaced,fps=25,scale=1280:720,setsar=1,format=yuv420p");
    expect(output).toContain(
      "-c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 50 -keyint_min 50 -sc_threshold 0",
    );
    expect(output).toContain("-maxrate 2000k -bufsize 4000k");
    expect(output).toContain("-af aresample=async=1 -c:a aac -b:a 128k -ar 48000 -ac 2");
  });

  it("centres a picture of another aspect ratio on black in the session's size", () => {
    const picture = { width: 960, height: 720 };
    const { output } = build({ plan: { ...ENCODE, video: { ...ENCODE.video, picture } } });
    expect(output).toContain("scale=960:720,pad=1280:720:(ow-iw)/2:(oh-ih)/2:color=black,setsar=1");
  });

  it("converts wide colours to BT.709 and declares that in the stream", () => {
    const { output } = build({ plan: { ...ENCODE, video: { ...ENCODE.video, toBt709: true } } });
    expect(output).toContain("scale=1280:720:in_color_matrix=bt2020:out_color_matrix=bt709");
    expect(output).toContain("-colorspace bt709 -color_primaries bt709 -color_trc bt709");
  });

  it.each([
    ["PQ", "smpte2084"],
    ["HLG", "arib-std-b67"],
  ] as const)("tone-maps %s after scaling the picture down", (tonesOf, transfer) => {
    const { output } = build({ plan: { ...ENCODE, video: { ...ENCODE.video, toBt709: true, tonesOf } } });
    expect(output).toContain(
      `scale=1280:720,setparams=color_primaries=bt2020:color_trc=${transfer}:colorspace=bt2020nc,zscale=t=linear:npl=203,` +
        "format=gbrpf32le,zscale=p=bt709,tonemap=mobius,zscale=t=bt709:m=bt709:r=limited,setsar=1,format=yuv420p",
    );
    expect(output).toContain("-colorspace bt709 -color_primaries bt709 -color_trc bt709");
  });

  it("holds a requested bit rate and keyframe distance", () => {
    const video = { ...ENCODE.video, bitRateKbps: 700, holdBitRate: true, gopS: 1 };
    const { output } = build({ plan: { ...ENCODE, video } });
    expect(output).toContain("-g 25 -keyint_min 25 -sc_threshold 0 -b:v 700k -maxrate 700k -bufsize 1400k");
  });

  it("speeds up picture and sound from the same position", () => {
    const video = { ...ENCODE.video, tempo: 1.5 };
    const audio = { ...ENCODE.audio, tempo: 1.5 };
    const { output } = build({ plan: { ...ENCODE, video, audio }, startAtMs: 2500 });
    expect(output).toContain("setpts=(PTS-2.500/TB)/1.5+2.500/TB,fps=25");
    expect(output).toContain("-af aresample=async=1:out_sample_rate=48000:first_pts=120000,atempo=1.5 -c:a aac");
  });

  it("changes the volume", () => {
    const { output } = build({ plan: { ...ENCODE, audio: { ...ENCODE.audio, volume: 50 } } });
    expect(output).toContain("-af aresample=async=1,volume=0.5 -c:a aac");
  });

  it("gives both channels the full loudness of a mono source", () => {
    const { output } = build({ plan: { ...ENCODE, audio: { ...ENCODE.audio, doubled: true } } });
    expect(output).toContain("-af pan=stereo|c0=c0|c1=c0,aresample=async=1 -c:a aac");
  });

  it("copies tracks that need no encoding", () => {
    expect(build({ plan: { ...ENCODE, audio: COPY.audio } }).output).toContain("-c:a copy");
    expect(build({ plan: { ...ENCODE, video: COPY.video } }).output).toContain("-c:v copy");
  });

  it("makes silence from before the nearest keyframe until the picture ends", () => {
    const audio = { action: "generate", ...SOUND } as const;
    const { second, output } = build({ plan: { ...COPY, audio }, startAtMs: 9000 });
    expect(second).toBe("-itsoffset 4.000 -f lavfi -i anullsrc=r=48000:cl=stereo");
    expect(output).toMatch(/^-map 0:V:0 -map 1:a:0 -c:v copy .*-shortest/);
  });

  it("makes a picture that lasts as long as the sound", () => {
    const { second, output } = build({ plan: { ...COPY, video: { action: "generate", ...TARGET } } });
    expect(second).toBe("-f lavfi -i color=c=black:s=1280x720:r=25");
    expect(output).toMatch(/^-map 1:v:0 -map 0:a:0 -vf format=yuv420p .*-c:a copy -shortest/);
  });

  it("reads FLV from stdin and opens nothing else", () => {
    const { inputs, input } = build({ input: { kind: "stream", format: "flv" }, live: true });
    expect(inputs[0]?.source).toBe("pipe:0");
    expect(input).toContain("-protocol_whitelist pipe -analyzeduration 1000000 -f flv");
    expect(input).not.toMatch(/reconnect|nostdin/);
  });

  it("analyses MPEG-TS from stdin until its tracks are known", () => {
    const { inputs, input } = build({ input: { kind: "stream", format: "mpegts" }, live: true });
    expect(inputs[0]?.source).toBe("pipe:0");
    expect(input).toMatch(/-protocol_whitelist pipe -scan_all_pmts 0 -f mpegts$/);
  });
});
