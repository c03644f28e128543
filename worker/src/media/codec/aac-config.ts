import { BitReader } from "./bit-reader.ts";
import { CodecError } from "./codec-error.ts";

/** The fields of an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1). */
export interface AacConfig {
  /** The object type of the core: 2 is AAC-LC. */
  readonly objectType: number;
  /** The sample rate of the core; with SBR it is half of the output rate. */
  readonly coreSampleRateHz: number;
  /** The output rate, if SBR is signalled explicitly. */
  readonly sampleRateHz: number;
  /** The output channels, if parametric stereo is signalled explicitly. */
  readonly channels: number;
  /**
   * The channelConfiguration (table 1.19): 1 means one mono element, 2 one stereo element, and 0 that a program config gives
   * the channels.
   */
  readonly channelConfiguration: number;
  /** True if spectral band replication (HE-AAC) is signalled. */
  readonly sbr: boolean;
  /** True if parametric stereo (HE-AAC v2) is signalled. */
  readonly ps: boolean;
  /** The number of PCM samples of one frame, at the core's sample rate. */
  readonly samplesPerFrame: 1024 | 960;
}

/** The sample rates by samplingFrequencyIndex (table 1.18). Index 15, which means that the rate itself follows, is left out. */
export const AAC_SAMPLE_RATES_HZ: readonly number[] = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350,
];
/** The number of channels by channelConfiguration (table 1.19). For index 0, the program config gives the number. */
const CHANNELS = [0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8];
const OBJECT_SBR = 5;
const OBJECT_PS = 29;
const OBJECT_BSAC_EXTENSION = 22;
/** Object types whose configuration is a GASpecificConfig (table 1.15): main, LC, SSR, LTP, scalable, TwinVQ. */
const GENERAL_AUDIO = new Set([1, 2, 3, 4, 6, 7]);
const MAX_CONFIG_BYTES = 512;

/**
 * Parses a config of the general AAC family.
 *
 * @throws CodecError if the bytes are anything else
 */
export function parseAacConfig(bytes: Uint8Array): AacConfig {
  if (bytes.length < 2 || bytes.length > MAX_CONFIG_BYTES) throw new CodecError("The AAC config has a wrong length.");
  const reader = new BitReader(bytes);
  let objectType = readObjectType(reader);
  const coreSampleRateHz = readSampleRate(reader);
  const channelConfiguration = reader.bits(4);
  let sampleRateHz = coreSampleRateHz;
  let sbr = objectType === OBJECT_SBR || objectType === OBJECT_PS;
  let ps = objectType === OBJECT_PS;
  const hierarchical = sbr;
  if (hierarchical) {
    sampleRateHz = readSampleRate(reader);
    objectType = readObjectType(reader);
    if (objectType === OBJECT_BSAC_EXTENSION) reader.skip(4);
  }
  if (!GENERAL_AUDIO.has(objectType)) throw new CodecError("The audio is of an unknown AAC object type.");
  const general = parseGeneralAudio(reader, objectType, channelConfiguration);
  // Backward compatible signalling of SBR is a sync word after the core's config (1.6.5.3).
  if (!hierarchical && reader.bitsLeft >= 16 && reader.bits(11) === 0x2b7) {
    const extension = readObjectType(reader);
    if (extension === OBJECT_SBR && reader.flag()) {
      sbr = true;
      sampleRateHz = readSampleRate(reader);
      if (reader.bitsLeft >= 12 && reader.bits(11) === 0x548) ps = reader.flag();
    }
  }
  // Parametric stereo makes two channels out of one.
  const channels = ps && general.channels === 1 ? 2 : general.channels;
  if (channels === 0) throw new CodecError("The AAC config says no channels.");
  const { samplesPerFrame } = general;
  return { objectType, coreSampleRateHz, sampleRateHz, channels, channelConfiguration, sbr, ps, samplesPerFrame };
}

function readObjectType(reader: BitReader): number {
  const type = reader.bits(5);
  return type === 31 ? 32 + reader.bits(6) : type;
}

function readSampleRate(reader: BitReader): number {
  const index = reader.bits(4);
  const rate = index === 15 ? reader.bits(24) : AAC_SAMPLE_RATES_HZ[index];
  if (rate === undefined || rate === 0) throw new CodecError("The AAC config says an unknown sample rate.");
  return rate;
}

/** Reads the GASpecificConfig (4.4.1). */
function parseGeneralAudio(reader: BitReader, objectType: number, channelConfig: number) {
  const samplesPerFrame: 1024 | 960 = reader.flag() ? 960 : 1024;
  if (reader.flag()) reader.skip(14); // coreCoderDelay
  const extension = reader.flag();
  const channels = channelConfig === 0 ? countProgramChannels(reader) : (CHANNELS[channelConfig] ?? 0);
  if (objectType === 6) reader.skip(3); // layerNr
  if (extension) reader.flag(); // extensionFlag3
  return { samplesPerFrame, channels };
}

/** Returns the number of channels in a program_config_element (4.4.1.1), which has at most 15 elements of each kind. */
function countProgramChannels(reader: BitReader): number {
  reader.skip(4 + 2 + 4); // element_instance_tag, object_type, sampling_frequency_index
  const front = reader.bits(4);
  const side = reader.bits(4);
  const back = reader.bits(4);
  const lfe = reader.bits(2);
  const data = reader.bits(3);
  const coupling = reader.bits(4);
  if (reader.flag()) reader.skip(4); // mono_mixdown
  if (reader.flag()) reader.skip(4); // stereo_mixdown
  if (reader.flag()) reader.skip(3); // matrix_mixdown
  let channels = lfe;
  for (let element = 0; element < front + side + back; element += 1) {
    channels += reader.flag() ? 2 : 1; // is_cpe
    reader.skip(4); // tag_select
  }
  reader.skip(lfe * 4 + data * 4 + coupling * 5);
  reader.alignToByte();
  reader.skip(reader.bits(8) * 8); // comment
  return channels;
}
