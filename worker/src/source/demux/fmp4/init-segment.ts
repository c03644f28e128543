import { type Box, findBox, listBoxes, needBox } from "../../mp4/box.ts";
import { parseEditList } from "../../mp4/edit-list.ts";
import { Mp4Error } from "../../mp4/mp4-error.ts";
import { parseAudioDescription } from "../../mp4/sample-description.ts";
import { listTracks, parseClock, type TrackHeader } from "../../mp4/track-header.ts";
import type { DemuxedTrack } from "../demuxer.ts";
import { codecOfFormat } from "./sample-formats.ts";

/** Defaults for values that a fragment may omit (`trex`, ISO/IEC 14496-12, 8.8.3). */
export interface SampleDefaults {
  readonly duration: number;
  readonly size: number;
}

/** A track as an init segment describes it. */
export interface FragmentedTrack {
  readonly track: DemuxedTrack;
  /** Units of the track's clock in a second. */
  readonly timescale: number;
  /** The shift from decode times to positions in the presentation, ms. */
  readonly shiftMs: number;
  readonly defaults: SampleDefaults;
  /**
   * An AVCDecoderConfigurationRecord or an AudioSpecificConfig; null if the record is missing or the codec is another
   * one.
   */
  readonly record: Buffer | null;
}

const VISUAL_ENTRY_BYTES = 78;
const UNKNOWN: Codec = { codec: "unknown", record: null };

/**
 * Reads the tracks of an init segment.
 *
 * @param moov the box with its header
 * @throws Mp4Error if the box is broken, announces no fragments, or describes media before the fragments
 */
export function parseInitSegment(moov: Buffer): readonly FragmentedTrack[] {
  const [root] = listBoxes(moov, 0, moov.length);
  if (root === undefined) throw new Mp4Error("The box moov is empty.");
  const mvex = needBox(moov, root, "mvex");
  const defaults = readDefaults(moov, mvex);
  const movieTimescale = parseClock(moov, needBox(moov, root, "mvhd", 20)).timescale;
  return listTracks(moov, root).map((header) => {
    if (header.kind !== "other" && hasSamples(moov, header.stbl)) {
      throw new Mp4Error("The MP4 has media in front of its fragments.");
    }
    const entry = firstEntry(moov, header.stbl);
    const { codec, record } = entry === undefined ? UNKNOWN : readCodec(moov, header, entry);
    const { emptyDuration, mediaTime } = parseEditList(moov, header.trak);
    return {
      track: {
        id: header.id,
        kind: header.still ? "other" : header.kind,
        codec,
        language: header.language,
        enabled: header.enabled,
        encryption: header.encryption,
      },
      timescale: header.timescale,
      shiftMs: (emptyDuration * 1000) / movieTimescale - (mediaTime * 1000) / header.timescale,
      defaults: defaults.get(header.id) ?? { duration: 0, size: 0 },
      record,
    };
  });
}

function readDefaults(moov: Buffer, mvex: Box): Map<number, SampleDefaults> {
  const all = new Map<number, SampleDefaults>();
  for (const { type, start, end } of listBoxes(moov, mvex.start, mvex.end)) {
    if (type !== "trex" || end - start < 24) continue;
    all.set(moov.readUInt32BE(start + 4), {
      duration: moov.readUInt32BE(start + 12),
      size: moov.readUInt32BE(start + 16),
    });
  }
  return all;
}

/** Returns true if the index itself describes samples. Some files begin with such samples and continue in fragments. */
function hasSamples(moov: Buffer, stbl: Box): boolean {
  const stsz = findBox(moov, stbl, "stsz");
  return stsz !== undefined && stsz.end - stsz.start >= 12 && moov.readUInt32BE(stsz.start + 8) > 0;
}

function firstEntry(moov: Buffer, stbl: Box): Box | undefined {
  const stsd = needBox(moov, stbl, "stsd", 8);
  return listBoxes(moov, stsd.start + 8, stsd.end)[0];
}

interface Codec {
  readonly codec: string;
  readonly record: Buffer | null;
}

function readCodec(moov: Buffer, { stbl, usac, encryption }: TrackHeader, entry: Box): Codec {
  const codec = usac ? "usac" : codecOfFormat(moov, entry);
  if (encryption !== undefined) return { codec, record: null };
  if (codec === "aac") return readAac(moov, stbl);
  if (codec !== "h264") return { codec, record: null };
  const avcc = findBox(moov, { ...entry, start: entry.start + VISUAL_ENTRY_BYTES }, "avcC");
  return { codec, record: avcc === undefined ? null : moov.subarray(avcc.start, avcc.end) };
}

/**
 * Reads the AAC configuration. The codec is `unknown` if the configuration is not understood here, because ffmpeg may
 * still decode it.
 */
function readAac(moov: Buffer, stbl: Box): Codec {
  try {
    return { codec: "aac", record: parseAudioDescription(moov, stbl).record };
  } catch (thrown) {
    if (thrown instanceof Mp4Error) return { codec: "unknown", record: null };
    throw thrown;
  }
}
