import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { sampleClip, samplePlaylist } from "@roomcast/dev/stack/sample-media";
import type { Stack } from "@roomcast/dev/stack/stack";
import { positiveInteger, type Suite, type SuiteContext, type SuiteReport, wantedParts } from "../base/suite.ts";
import { bareFfmpegPusher } from "../pushers/bare-ffmpeg-pusher.ts";
import { fileClip, playlistClip } from "../pushers/clip.ts";
import { gstreamerPusher, gstreamerVersion } from "../pushers/gstreamer-pusher.ts";
import { measureFirstVideo } from "../pushers/measure-first-video.ts";
import { neededTools } from "../pushers/needed-tools.ts";
import { roomcastPusher } from "../pushers/roomcast-pusher.ts";
import { withStack } from "../pushers/with-stack.ts";
import { measureCapacity } from "./measure-capacity.ts";
import { measureSideBySide } from "./measure-side-by-side.ts";
import { measureSwitches } from "./measure-switches.ts";
import type { MediaFigures } from "./media-figures.ts";
import { formatMediaReport, type MediaReport } from "./media-report.ts";
import { mediaTargets } from "./media-targets.ts";
import { transcodeCodecs } from "./transcode-codecs.ts";

export const mediaBench: Suite = {
  summary: "what a worker costs and how soon and smoothly a room sees it, beside bare ffmpeg and GStreamer",
  options: `  --only LIST       some of pass-through,hls,first-video,switches,transcode,capacity; default all
  --streams N       how many copied streams at once, of a file and of an HLS recording, default 30
  --transcodes N    how many transcoded streams at once beside bare ffmpeg, default 3
  --most N          where the search for how many transcodes fit ends, default 12
  --seconds N       how long each measurement of streams runs, default 30
  --rounds N        repetitions of what compares costs, default 3
  --runs N          repetitions of the first picture and of each kind of switch, default 15
  --quick           small numbers, to see that all works`,
  run: runMediaBench,
};

const PARTS = ["pass-through", "hls", "first-video", "switches", "transcode", "capacity"] as const;
type Part = (typeof PARTS)[number];

/** Enough for the longest measurement, with what it takes to start. */
const CLIP_MARGIN_S = 60;
/** Ours encodes two seconds ahead when it starts: in a short window that would count for media that nobody saw yet. */
const TRANSCODE_SETTLE_S = 5;
/** A switch is seen to its end in a few seconds. */
const SWITCH_CLIP_S = 20;
/** The bench measures how much fits, so the worker's own limit must not refuse it. */
const WORKER_SETTINGS = { ROOMCAST_CAPACITY_UNITS: "100000" };

interface Sizes {
  readonly streams: number;
  readonly transcodes: number;
  readonly most: number;
  readonly windowSeconds: number;
  readonly rounds: number;
  readonly runs: number;
}

const QUICK: Sizes = { streams: 3, transcodes: 1, most: 1, windowSeconds: 3, rounds: 1, runs: 2 };

interface Run extends Omit<SuiteContext, "args"> {
  readonly stack: Stack;
  readonly sizes: Sizes;
  readonly wants: (part: Part) => boolean;
  readonly ffmpegPath: string;
  readonly gstreamer: string | null;
}

async function runMediaBench({ args, ...context }: SuiteContext): Promise<SuiteReport> {
  const { sizes, wants } = readArguments(args);
  const [loadBefore = 0] = loadavg();
  const { ffmpegPath, ffmpegVersion } = await neededTools();
  const gstreamer = await gstreamerVersion();
  context.onProgress("starting the stack");
  const figures = await withStack({ signal: context.signal, workerSettings: WORKER_SETTINGS }, (stack) =>
    measureAll({ ...context, stack, sizes, wants, ffmpegPath, gstreamer }),
  );
  const [loadAfter = 0] = loadavg();
  const report: MediaReport = {
    suite: "media",
    clip: "A 720p30 clip, H.264 2 Mbit/s + AAC 48 kHz; with B-frames where it is transcoded, else without",
    windowSeconds: sizes.windowSeconds,
    ...figures,
    targets: mediaTargets(figures),
    environment: {
      cpus: cpus().length,
      cpuModel: cpus()[0]?.model ?? "unknown",
      node: process.version,
      ffmpeg: ffmpegVersion,
      gstreamer,
      loadBefore,
      loadAfter,
    },
  };
  return { json: report, text: formatMediaReport(report) };
}

function switchClip(profile: "main" | "high"): Promise<string> {
  return sampleClip({ durationS: SWITCH_CLIP_S, profile });
}

async function measureAll(run: Run): Promise<MediaFigures> {
  const { stack, sizes, wants, ffmpegPath, onProgress, signal } = run;
  const { rounds, runs, windowSeconds } = sizes;
  const durationS = windowSeconds + CLIP_MARGIN_S;
  const clip = fileClip(await sampleClip({ durationS }));
  const playlist = playlistClip(await samplePlaylist({ durationS }));
  // Those that only some parts need take long to make.
  const bFrames = () => sampleClip({ durationS, bFrames: true });
  signal.throwIfAborted();
  const ours = await roomcastPusher(stack);
  const bare = await bareFfmpegPusher({ stack, ffmpegPath });
  const bareTranscode = await bareFfmpegPusher({ stack, ffmpegPath, codecs: transcodeCodecs() });
  const gstreamer = run.gstreamer === null ? null : await gstreamerPusher(stack);
  const common = { stack, ours, windowSeconds, rounds, runs, onProgress, signal };
  return {
    passThrough: wants("pass-through")
      ? await measureSideBySide({ ...common, bare, gstreamer, clip, streams: sizes.streams })
      : null,
    hls: wants("hls")
      ? await measureSideBySide({ ...common, bare, gstreamer: null, clip: playlist, streams: sizes.streams })
      : null,
    firstVideo: wants("first-video")
      ? await measureFirstVideo({ ...common, bare, clip, what: "a copied MP4 file" })
      : null,
    firstVideoHls: wants("first-video")
      ? await measureFirstVideo({ ...common, bare, clip: playlist, what: "an HLS recording" })
      : null,
    switches: wants("switches")
      ? await measureSwitches({
          ...common,
          oldClipPath: await switchClip("main"),
          newClipPath: await switchClip("high"),
        })
      : null,
    transcode: wants("transcode")
      ? await measureSideBySide({
          ...common,
          bare: bareTranscode,
          gstreamer: null,
          clip: fileClip(await bFrames()),
          streams: sizes.transcodes,
          settleSeconds: TRANSCODE_SETTLE_S,
        })
      : null,
    capacity: wants("capacity")
      ? await measureCapacity({ ...common, pusher: ours, clipPath: await bFrames(), most: sizes.most })
      : null,
  };
}

function readArguments(args: readonly string[]): { sizes: Sizes; wants: (part: Part) => boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", default: PARTS.join(",") },
      streams: { type: "string", default: "30" },
      transcodes: { type: "string", default: "3" },
      most: { type: "string", default: "12" },
      seconds: { type: "string", default: "30" },
      rounds: { type: "string", default: "3" },
      runs: { type: "string", default: "15" },
      quick: { type: "boolean", default: false },
    },
  });
  const wants = wantedParts(PARTS, values.only);
  const sizes: Sizes = {
    streams: positiveInteger("streams", values.streams),
    transcodes: positiveInteger("transcodes", values.transcodes),
    most: positiveInteger("most", values.most),
    windowSeconds: positiveInteger("seconds", values.seconds),
    rounds: positiveInteger("rounds", values.rounds),
    runs: positiveInteger("runs", values.runs),
  };
  return { sizes: values.quick ? QUICK : sizes, wants };
}
