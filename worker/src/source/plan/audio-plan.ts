import type { AudioFormat } from "../../media/formats.ts";
import type { AudioInfo } from "../../media/media-info.ts";
import type { OutputWishes } from "./output-wishes.ts";

/** The settings for encoding sound, or for making silence if the source has no sound. */
export interface AudioTarget extends AudioFormat {
  readonly bitRateKbps: number;
}

export type AudioPlan =
  | { readonly action: "copy" }
  | ({
      readonly action: "transcode";
      /** The loudness in percent. */
      readonly volume: number;
      readonly tempo: number;
      /** True if the single channel of the source becomes two identical channels. */
      readonly doubled: boolean;
    } & AudioTarget)
  | ({ readonly action: "generate" } & AudioTarget);

/** The format of silence if neither the session nor the request sets one. */
export const USUAL_AUDIO: AudioFormat = { sampleRateHz: 48_000, channels: 2 };

const ROOM_SAMPLE_RATES = [44_100, 48_000];
const BIT_RATE_KBPS = 128;
const SILENCE_BIT_RATE_KBPS = 32;
/** A bit rate may exceed the requested one by this factor before the source is encoded for that reason. */
const BIT_RATE_TOLERANCE = 1.1;

/** Decides whether the audio is copied, encoded or made, and gives the reasons why it is not copied. Pure. */
export function planAudio(
  audio: AudioInfo | null,
  wishes: OutputWishes,
): { readonly plan: AudioPlan; readonly reasons: readonly string[] } {
  if (audio === null) {
    const plan = { action: "generate", ...formatFor(USUAL_AUDIO, wishes), bitRateKbps: SILENCE_BIT_RATE_KBPS } as const;
    return { plan, reasons: ["There is no audio: silence is made."] };
  }
  const reasons = [...mustBeEncoded(audio), ...reasonsOfRequest(audio, wishes)];
  if (reasons.length === 0) return { plan: { action: "copy" }, reasons };
  const { volume = 100, tempo = 1, audioEncode } = wishes;
  const format = formatFor(audio, wishes);
  const bitRateKbps = audioEncode?.bitRateKbps ?? BIT_RATE_KBPS;
  const doubled = audio.channels === 1 && format.channels === 2;
  return { plan: { action: "transcode", ...format, bitRateKbps, volume, tempo, doubled }, reasons };
}

/** Returns the output format. A value that is not requested follows the source, within the limits of rooms. */
function formatFor(source: AudioFormat, { audioFormat, audioEncode }: OutputWishes): AudioFormat {
  const fittingRateHz = ROOM_SAMPLE_RATES.includes(source.sampleRateHz)
    ? source.sampleRateHz
    : USUAL_AUDIO.sampleRateHz;
  return {
    sampleRateHz: audioFormat?.sampleRateHz ?? audioEncode?.sampleRateHz ?? fittingRateHz,
    channels: audioFormat?.channels ?? audioEncode?.channels ?? Math.min(source.channels, 2),
  };
}

/** Returns the reasons why no room takes the audio unchanged. */
function mustBeEncoded(audio: AudioInfo): string[] {
  const reasons: string[] = [];
  if (audio.uncopyable !== undefined) reasons.push(audio.uncopyable);
  if (audio.codec !== "aac") reasons.push(`The audio is ${audio.codec}; rooms take AAC.`);
  if (audio.channels > 2) reasons.push(`The audio has ${audio.channels} channels, more than 2.`);
  if (!ROOM_SAMPLE_RATES.includes(audio.sampleRateHz)) {
    reasons.push(`The audio is sampled at ${audio.sampleRateHz} Hz, neither 44100 nor 48000.`);
  }
  return reasons;
}

/** Returns the reasons why audio that a room would take must still be encoded for this session or request. */
function reasonsOfRequest(audio: AudioInfo, wishes: OutputWishes): string[] {
  const { audioFormat, audioEncode, volume = 100, tempo = 1 } = wishes;
  const reasons: string[] = [];
  const wished = { ...audio, ...given(audioEncode), ...audioFormat };
  if (wished.sampleRateHz !== audio.sampleRateHz || wished.channels !== audio.channels) {
    const whose = audioFormat === undefined ? "is asked for" : "is the session's";
    reasons.push(`The audio is ${named(audio)}; ${named(wished)} ${whose}.`);
  }
  const bitRateKbps = audioEncode?.bitRateKbps;
  if (bitRateKbps !== undefined && !((audio.bitRateKbps ?? Infinity) <= bitRateKbps * BIT_RATE_TOLERANCE)) {
    const has = audio.bitRateKbps === undefined ? "an unknown number of" : String(Math.round(audio.bitRateKbps));
    reasons.push(`The audio has ${has} kbit/s; ${bitRateKbps} are asked for.`);
  }
  if (volume !== 100) reasons.push(`The volume is ${volume} %.`);
  if (tempo !== 1) reasons.push(`The audio is played at ${tempo} times its speed.`);
  return reasons;
}

function given(audioEncode: OutputWishes["audioEncode"]): Partial<AudioFormat> {
  const { sampleRateHz, channels } = audioEncode ?? {};
  return { ...(sampleRateHz === undefined ? {} : { sampleRateHz }), ...(channels === undefined ? {} : { channels }) };
}

function named({ sampleRateHz, channels }: AudioFormat): string {
  return `${channels === 1 ? "mono" : channels === 2 ? "stereo" : `of ${channels} channels`} at ${sampleRateHz} Hz`;
}
