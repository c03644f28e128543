import { randomFrom } from "../hls/random-from.test-support.ts";

export type VideoKind = "h264" | "h264 with B-frames" | "hevc" | "vp9";
export type AudioKind = "aac" | "aac mono" | "aac 44.1 kHz" | "mp3" | "ac3" | "opus";
export type Container = "mp4" | "mov" | "mkv" | "webm" | "flv" | "ts" | "hls of ts" | "hls of fmp4";
export type Index = "in front" | "at the end" | "in fragments" | "in fragments with sidx" | "in fragments with mfra";
/** The track that begins late, or the part that an edit list hides. */
export type TrackStart = "together" | "sound 1.5 s late" | "picture 1.5 s late" | "first 1.4 s trimmed";
export type Ranges = "whole" | "capped" | "aligned" | "odd unit" | "ignored" | "not announced";

/** A piece of the source's media: two seconds of one of its clips. */
export interface Piece {
  readonly clip: "plain" | "far clock" | "large picture" | "other sound";
  /** The number of the piece from 0; each clip has three. */
  readonly number: number;
  /** True if `EXT-X-DISCONTINUITY` precedes it. */
  readonly discontinuity: boolean;
  readonly there: "yes" | "EXT-X-GAP" | "404";
}

export interface HlsShape {
  readonly pieces: readonly Piece[];
  readonly end: "ENDLIST" | "VOD without ENDLIST" | "EVENT with ENDLIST";
  readonly lineEnd: "\n" | "\r\n";
  readonly byteOrderMark: boolean;
  readonly encryption: "none" | "AES-128" | "AES-128 with IV";
  readonly byteRanges: boolean;
  readonly master: boolean;
  /** True if the sound has a separate playlist. */
  readonly soundApart: boolean;
}

export type Trouble =
  | "none"
  | "404"
  | "403"
  | "a web page instead"
  | "a DASH manifest instead"
  | "cut short"
  | "SAMPLE-AES"
  | "key is gone"
  | "all segments are gone";

/** The complete description of one generated source. */
export interface Composition {
  readonly seed: number;
  readonly container: Container;
  readonly video: VideoKind | null;
  readonly audio: AudioKind | null;
  readonly start: TrackStart;
  /** The index of MP4 and MOV. */
  readonly index: Index;
  readonly hls: HlsShape | null;
  readonly name: string;
  readonly ranges: Ranges;
  readonly gzip: boolean;
  readonly redirect: "none" | "relative" | "raw UTF-8";
  readonly cookie: boolean;
  readonly token: boolean;
  readonly startAtMs: number;
  readonly trouble: Trouble;
}

const CONTAINERS: readonly Container[] = [
  "hls of ts",
  "mp4",
  "hls of fmp4",
  "ts",
  "hls of ts",
  "mov",
  "mkv",
  "mp4",
  "flv",
];
const NAMES = [
  "clip.mp4",
  "video",
  "Урок 1 (копия).mp4",
  "a b+c&d=1.jpg",
  "list.m3u8.txt",
  "ürün%20.TS",
  "x;v=1.php",
  "日本.mov",
];
const VIDEO: Readonly<Record<Container, readonly VideoKind[]>> = {
  mp4: ["h264", "h264 with B-frames", "hevc"],
  mov: ["h264", "h264 with B-frames", "hevc"],
  mkv: ["h264", "h264 with B-frames", "hevc", "vp9"],
  webm: ["vp9"],
  flv: ["h264", "h264 with B-frames"],
  ts: ["h264", "h264 with B-frames", "hevc"],
  "hls of ts": ["h264", "h264 with B-frames", "hevc"],
  "hls of fmp4": ["h264", "h264 with B-frames", "hevc"],
};
const AUDIO: Readonly<Record<Container, readonly AudioKind[]>> = {
  mp4: ["aac", "aac mono", "aac 44.1 kHz", "mp3", "ac3"],
  mov: ["aac", "aac mono", "aac 44.1 kHz", "ac3"],
  mkv: ["aac", "aac mono", "aac 44.1 kHz", "mp3", "ac3", "opus"],
  webm: ["opus"],
  flv: ["aac", "aac mono", "aac 44.1 kHz", "mp3"],
  ts: ["aac", "aac mono", "aac 44.1 kHz", "mp3", "ac3"],
  "hls of ts": ["aac", "aac mono", "aac 44.1 kHz", "mp3", "ac3"],
  "hls of fmp4": ["aac", "aac mono", "aac 44.1 kHz", "ac3"],
};

class Dice {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomFrom(seed * 7919 + 1);
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  /** Chooses a value. The first one is the ordinary one and is about as frequent as all the others together. */
  mostly<Item>(items: readonly [Item, ...Item[]]): Item {
    return this.chance(0.4) ? items[0] : this.any(items);
  }

  any<Item>(items: readonly [Item, ...Item[]]): Item {
    return items[Math.floor(this.#random() * items.length)] ?? items[0];
  }
}

/** Returns the composition of the source of a seed. Pure. */
export function compose(seed: number): Composition {
  const dice = new Dice(seed);
  const container = seed % 29 === 28 ? "webm" : (CONTAINERS[seed % CONTAINERS.length] ?? "mp4");
  const isHls = container.startsWith("hls");
  const isMp4 = container === "mp4" || container === "mov";
  const video = dice.chance(0.08) ? null : dice.mostly(ofKind(VIDEO[container]));
  const audio = video !== null && dice.chance(0.08) ? null : dice.mostly(ofKind(AUDIO[container]));
  const both = video !== null && audio !== null;
  const hls = isHls ? composeHls(dice, { video, audio, container }) : null;
  const plainHls = hls === null || hls.pieces.every(({ clip, there }) => clip === "plain" && there === "yes");
  const starts: [TrackStart, ...TrackStart[]] = ["together", "sound 1.5 s late", "picture 1.5 s late"];
  if (isMp4) starts.push("first 1.4 s trimmed");
  // A late track would be late in each of the joined pieces.
  const mayBeLate = both && plainHls && hls?.soundApart !== true && hls?.pieces.every(continuesItself) !== false;
  const start = mayBeLate ? dice.mostly(starts) : "together";
  const indexes: [Index, ...Index[]] = ["in front", "at the end", "in fragments", "in fragments with sidx"];
  const index: Index = isMp4 ? dice.any([...indexes, "in fragments with mfra"]) : "in front";
  const trouble = dice.chance(0.8) ? "none" : dice.any(troublesOf(container, hls));
  return {
    seed,
    container,
    video,
    audio,
    // The fragments that ffmpeg writes begin together; only the edit list of a whole file has a late or trimmed start.
    start: index.startsWith("in fragments") ? "together" : start,
    index,
    hls,
    name: dice.any(ofKind(NAMES)),
    ranges: dice.mostly(["whole", "capped", "aligned", "odd unit", "ignored", "not announced"]),
    // A stream without a length counts as live, except MP4, whose index gives the duration.
    gzip: (isHls || (isMp4 && index === "in front")) && dice.chance(0.3),
    redirect: dice.mostly(["none", "relative", "raw UTF-8"]),
    cookie: dice.chance(0.25),
    token: dice.chance(0.25),
    startAtMs: plainHls && start === "together" && trouble === "none" && dice.chance(0.3) ? 2600 : 0,
    trouble,
  };
}

/** Returns true if the piece has the same place as in its clip. */
function continuesItself({ number, discontinuity }: Piece, at: number): boolean {
  return number === at && !discontinuity;
}

function composeHls(dice: Dice, media: Pick<Composition, "video" | "audio" | "container">): HlsShape {
  const { video, audio, container } = media;
  const usual = video === "h264" || video === "h264 with B-frames";
  return {
    pieces: composePieces(dice, media),
    end: dice.any(["ENDLIST", "VOD without ENDLIST", "EVENT with ENDLIST"]),
    lineEnd: dice.any(["\n", "\r\n"]),
    byteOrderMark: dice.chance(0.3),
    encryption: dice.chance(0.3) && container === "hls of ts" ? dice.any(["AES-128", "AES-128 with IV"]) : "none",
    byteRanges: dice.chance(0.2),
    master: dice.chance(0.5),
    soundApart: usual && audio !== null && audio.startsWith("aac") && dice.chance(0.2),
  };
}

function composePieces(dice: Dice, { video, audio }: Pick<Composition, "video" | "audio">): Piece[] {
  const piece = (clip: Piece["clip"], number: number, more: Partial<Piece> = {}): Piece => {
    return { clip, number, discontinuity: false, there: "yes", ...more };
  };
  const whole = [piece("plain", 0), piece("plain", 1), piece("plain", 2)];
  const behind = (clip: Piece["clip"], discontinuity: boolean) => [
    piece("plain", 0),
    piece("plain", 1),
    piece(clip, 0, { discontinuity }),
    piece(clip, 1),
  ];
  // If ffmpeg demuxes the stream, its clock shows the gap, and the last picture is repeated until media continue.
  const isReadHere = (video === null || video.startsWith("h264")) && (audio === null || audio.startsWith("aac"));
  const shapes: (() => Piece[])[] = [
    () => [...whole, piece("plain", 0, { discontinuity: dice.chance(0.6) }), piece("plain", 1)],
    () => behind("far clock", dice.chance(0.6)),
    () => [...whole.slice(0, 2), piece("plain", 2, { there: dice.any(["EXT-X-GAP", "404"]) })],
  ];
  if (isReadHere) {
    shapes.push(() => [
      piece("plain", 0),
      piece("plain", 1, { there: dice.any(["EXT-X-GAP", "404"]) }),
      piece("plain", 2),
    ]);
  }
  if (isReadHere && video === "h264") shapes.push(() => behind("large picture", true));
  if (audio === "aac") shapes.push(() => behind("other sound", true));
  return dice.mostly([() => whole, ...shapes])();
}

function troublesOf(container: Container, hls: HlsShape | null): [Trouble, ...Trouble[]] {
  const troubles: [Trouble, ...Trouble[]] = ["404", "403", "a web page instead"];
  if (hls === null) return container === "ts" ? troubles : [...troubles, "cut short"];
  troubles.push("a DASH manifest instead", "SAMPLE-AES", "all segments are gone");
  return hls.encryption === "none" ? troubles : [...troubles, "key is gone"];
}

function ofKind<Item>([first, ...rest]: readonly Item[]): [Item, ...Item[]] {
  if (first === undefined) throw new Error("There is nothing to choose from.");
  return [first, ...rest];
}

/** Describes a composition in one line by its differences from the most ordinary source. */
export function shownComposition(composition: Composition): string {
  const { container, video, audio, start, index, hls, name, ranges, gzip, redirect, cookie, token } = composition;
  const { startAtMs, trouble } = composition;
  const parts = [`${container}: ${video ?? "no picture"}, ${audio ?? "no sound"}`];
  if (start !== "together") parts.push(start);
  if (container === "mp4" || container === "mov") parts.push(`index ${index}`);
  if (hls !== null) parts.push(shownHls(hls));
  if (ranges !== "whole") parts.push(`ranges ${ranges}`);
  if (gzip) parts.push("gzip");
  if (redirect !== "none") parts.push(`${redirect} redirect`);
  if (cookie) parts.push("cookie");
  if (token) parts.push("token");
  if (startAtMs > 0) parts.push(`from ${startAtMs} ms`);
  if (trouble !== "none") parts.push(`trouble: ${trouble}`);
  parts.push(JSON.stringify(name));
  return parts.join("; ");
}

function shownHls({
  pieces,
  end,
  lineEnd,
  byteOrderMark,
  encryption,
  byteRanges,
  master,
  soundApart,
}: HlsShape): string {
  const list = pieces.map(({ clip, number, discontinuity, there }) => {
    return `${discontinuity ? "| " : ""}${clip} ${number}${there === "yes" ? "" : ` (${there})`}`;
  });
  const parts = [list.join(", "), end];
  if (lineEnd === "\r\n") parts.push("CRLF");
  if (byteOrderMark) parts.push("BOM");
  if (encryption !== "none") parts.push(encryption);
  if (byteRanges) parts.push("byte ranges");
  if (master) parts.push("master");
  if (soundApart) parts.push("sound apart");
  return parts.join("; ");
}
