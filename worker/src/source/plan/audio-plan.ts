import type { AudioFormat } from "../../media/formats.ts";
import type { AudioInfo } from "../../media/media-info.ts";
import type { OutputWishes } from "./output-wishes.ts";

/** How sound is encoded, or silence made where there is none. */
export interface AudioTarget extends AudioFormat {
  readonly bitRateKbps: number;
}

export type AudioPlan =
  | { readonly action: "copy" }
  | ({
      readonly action: "transcode";
      /** Percent. */
      readonly volume: number;
      readonly tempo: number;
      /** One channel becomes two that are the same. */
      readonly doubled: boolean;
    } & AudioTarget)
  | ({ readonly action: "generate" } & AudioTarget);

/** What is made where nobody wishes otherwise. */
export const USUAL_AUDIO: AudioFormat = { sampleRateHz: 48_000, channels: 2 };

const ROOM_SAMPLE_RATES = [44_100, 48_000];
const BIT_RATE_KBPS = 128;
const SILENCE_BIT_RATE_KBPS = 32;
/** By so much a source may pass a wished bit rate before it is encoded for that. */
const WISH_TOLERANCE = 1.1;

/** What becomes of the audio, and the sentences that say why it is not copied. Pure. */
export function planAudio(
  audio: AudioInfo | null,
  wishes: OutputWishes,
): { readonly plan: AudioPlan; readonly reasons: readonly string[] } {
  if (audio === null) {
    const plan = { action: "generate", ...formatFor(USUAL_AUDIO, wishes), bitRateKbps: SILENCE_BIT_RATE_KBPS } as const;
    return { plan, reasons: ["There is no audio: silence is made."] };
  }
  const reasons = [...mustBeEncoded(audio), ...isWishedOtherwise(audio, wishes)];
  if (reasons.length === 0) return { plan: { action: "copy" }, reasons };
  const { volume = 100, tempo = 1, audioEncode } = wishes;
  const format = formatFor(audio, wishes);
  const bitRateKbps = audioEncode?.bitRateKbps ?? BIT_RATE_KBPS;
  const doubled = audio.channels === 1 && format.channels === 2;
  return { plan: { action: "transcode", ...format, bitRateKbps, volume, tempo, doubled }, reasons };
}

/** What is not wished follows the source, as far as rooms take it. */
function formatFor(source: AudioFormat, { audioFormat, audioEncode }: OutputWishes): AudioFormat {
  const fittingRateHz = ROOM_SAMPLE_RATES.includes(source.sampleRateHz)
    ? source.sampleRateHz
    : USUAL_AUDIO.sampleRateHz;
  return {
    sampleRateHz: audioFormat?.sampleRateHz ?? audioEncode?.sampleRateHz ?? fittingRateHz,
    channels: audioFormat?.channels ?? audioEncode?.channels ?? Math.min(source.channels, 2),
  };
}

/** Why the audio does not fit any room. */
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

/** Why the audio would fit a room, but not this session. */
function isWishedOtherwise(audio: AudioInfo, wishes: OutputWishes): string[] {
  const { audioFormat, audioEncode, volume = 100, tempo = 1 } = wishes;
  const reasons: string[] = [];
  const wished = { ...audio, ...given(audioEncode), ...audioFormat };
  if (wished.sampleRateHz !== audio.sampleRateHz || wished.channels !== audio.channels) {
    const whose = audioFormat === undefined ? "is asked for" : "is the session's";
    reasons.push(`The audio is ${named(audio)}; ${named(wished)} ${whose}.`);
  }
  const bitRateKbps = audioEncode?.bitRateKbps;
  if (bitRateKbps !== undefined && !((audio.bitRateKbps ?? Infinity) <= bitRateKbps * WISH_TOLERANCE)) {
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
