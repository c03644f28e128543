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

describe("ffmpeg's arguments", () => {
  it("read the gateway with nothing but HTTP, and connect again after a drop", () => {
    const { inputs, input } = build();
    expect(inputs.map(({ source }) => source)).toEqual(["http://source.invalid/0/media.mp4"]);
    expect(input).toContain("-protocol_whitelist http,tcp ");
    expect(input).toContain("-reconnect 1 -reconnect_delay_max 1");
    expect(input).toContain("-rw_timeout 30000000");
    expect(input).toContain("-nostdin");
  });

  it.each(["hls", "concat", "dash", "sdp", "rtsp", "image2", "lavfi"])(
    "let no source choose the demuxer %s",
    (name) => {
      const formats = build().inputs[0]?.options.at((build().inputs[0]?.options.indexOf("-format_whitelist") ?? 0) + 1);
      expect(formats?.split(",")).toContain("mpegts");
      expect(formats?.split(",")).not.toContain(name);
    },
  );

  it("write FLV without metadata of a file and without an end of sequence", () => {
    const { output } = build();
    expect(output).toMatch(/-flvflags no_duration_filesize\+no_metadata\+no_sequence_end -f flv$/);
  });

  it.each<[string, Partial<FfmpegArgumentsOptions>]>([
    ["a copy", {}],
    ["an encode", { plan: ENCODE }],
    ["a live source", { live: true }],
    ["a stream on stdin", { input: { kind: "stream", format: "flv" }, live: true }],
  ])("of %s never pace, never flush packets one by one", (_name, options) => {
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

  it("let neither a copy nor an encode end at the first damaged packet", () => {
    expect(build().input).not.toContain("-xerror");
    expect(build({ plan: ENCODE }).input).not.toContain("-xerror");
  });

  it("take the tracks that were probed, else the first that are no cover picture", () => {
    expect(build().output).toMatch(/^-map 0:V:0 -map 0:a:0 /);
    expect(build({ videoIndex: 3, audioIndex: 1 }).output).toMatch(/^-map 0:3 -map 0:1 /);
  });

  it("encode as rooms need it: no B-frames, a keyframe every 2 s", () => {
    const { output } = build({ plan: ENCODE });
    expect(output).toContain("-vf yadif=deint=interlaced,fps=25,scale=1280:720,setsar=1,format=yuv420p");
    expect(output).toContain(
      "-c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 50 -keyint_min 50 -sc_threshold 0",
    );
    expect(output).toContain("-maxrate 2000k -bufsize 4000k");
    expect(output).toContain("-af aresample=async=1 -c:a aac -b:a 128k -ar 48000 -ac 2");
  });

  it("put a picture of another shape in the middle of the session's, black around it", () => {
    const picture = { width: 960, height: 720 };
    const { output } = build({ plan: { ...ENCODE, video: { ...ENCODE.video, picture } } });
    expect(output).toContain("scale=960:720,pad=1280:720:(ow-iw)/2:(oh-ih)/2:color=black,setsar=1");
  });

  it("make wide colours those of BT.709, and say so in the stream", () => {
    const { output } = build({ plan: { ...ENCODE, video: { ...ENCODE.video, toBt709: true } } });
    expect(output).toContain("scale=1280:720:in_color_matrix=bt2020:out_color_matrix=bt709");
    expect(output).toContain("-colorspace bt709 -color_primaries bt709 -color_trc bt709");
  });

  it.each([
    ["PQ", "smpte2084"],
    ["HLG", "arib-std-b67"],
  ] as const)("map the tones of %s, after the picture was made smaller", (tonesOf, transfer) => {
    const { output } = build({ plan: { ...ENCODE, video: { ...ENCODE.video, toBt709: true, tonesOf } } });
    expect(output).toContain(
      `scale=1280:720,setparams=color_primaries=bt2020:color_trc=${transfer}:colorspace=bt2020nc,zscale=t=linear:npl=203,` +
        "format=gbrpf32le,zscale=p=bt709,tonemap=mobius,zscale=t=bt709:m=bt709:r=limited,setsar=1,format=yuv420p",
    );
    expect(output).toContain("-colorspace bt709 -color_primaries bt709 -color_trc bt709");
  });

  it("hold a bit rate and a distance of keyframes that were asked for", () => {
    const video = { ...ENCODE.video, bitRateKbps: 700, holdBitRate: true, gopS: 1 };
    const { output } = build({ plan: { ...ENCODE, video } });
    expect(output).toContain("-g 25 -keyint_min 25 -sc_threshold 0 -b:v 700k -maxrate 700k -bufsize 1400k");
  });

  it("play faster from the position on, picture and sound from the same one", () => {
    const video = { ...ENCODE.video, tempo: 1.5 };
    const audio = { ...ENCODE.audio, tempo: 1.5 };
    const { output } = build({ plan: { ...ENCODE, video, audio }, startAtMs: 2500 });
    expect(output).toContain("setpts=(PTS-2.500/TB)/1.5+2.500/TB,fps=25");
    expect(output).toContain("-af aresample=async=1:out_sample_rate=48000:first_pts=120000,atempo=1.5 -c:a aac");
  });

  it("play louder or softer", () => {
    const { output } = build({ plan: { ...ENCODE, audio: { ...ENCODE.audio, volume: 50 } } });
    expect(output).toContain("-af aresample=async=1,volume=0.5 -c:a aac");
  });

  it("give both channels the loudness of the one there is", () => {
    const { output } = build({ plan: { ...ENCODE, audio: { ...ENCODE.audio, doubled: true } } });
    expect(output).toContain("-af pan=stereo|c0=c0|c1=c0,aresample=async=1 -c:a aac");
  });

  it("copy what needs no encoding", () => {
    expect(build({ plan: { ...ENCODE, audio: COPY.audio } }).output).toContain("-c:a copy");
    expect(build({ plan: { ...ENCODE, video: COPY.video } }).output).toContain("-c:v copy");
  });

  it("make silence from before the keyframe on that may be nearest, as long as the picture lasts", () => {
    const audio = { action: "generate", ...SOUND } as const;
    const { second, output } = build({ plan: { ...COPY, audio }, startAtMs: 9000 });
    expect(second).toBe("-itsoffset 4.000 -f lavfi -i anullsrc=r=48000:cl=stereo");
    expect(output).toMatch(/^-map 0:V:0 -map 1:a:0 -c:v copy .*-shortest/);
  });

  it("make a picture as long as the sound lasts", () => {
    const { second, output } = build({ plan: { ...COPY, video: { action: "generate", ...TARGET } } });
    expect(second).toBe("-f lavfi -i color=c=black:s=1280x720:r=25");
    expect(output).toMatch(/^-map 1:v:0 -map 0:a:0 -vf format=yuv420p .*-c:a copy -shortest/);
  });

  it("read FLV from stdin and open nothing else", () => {
    const { inputs, input } = build({ input: { kind: "stream", format: "flv" }, live: true });
    expect(inputs[0]?.source).toBe("pipe:0");
    expect(input).toContain("-protocol_whitelist pipe -analyzeduration 1000000 -f flv");
    expect(input).not.toMatch(/reconnect|nostdin/);
  });

  it("read MPEG-TS from stdin for as long as it takes to know its tracks", () => {
    const { inputs, input } = build({ input: { kind: "stream", format: "mpegts" }, live: true });
    expect(inputs[0]?.source).toBe("pipe:0");
    expect(input).toMatch(/-protocol_whitelist pipe -scan_all_pmts 0 -f mpegts$/);
  });
});
