/**
 * Bit rates in kbit/s by bitrate_index, beginning with index 1 (ISO/IEC 11172-3, 2.4.2.3; ISO/IEC 13818-3, 2.4.2.3). This table
 * has the rates of MPEG-1 for each layer.
 */
const RATES_1 = [
  [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
  [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
  [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
];
const RATES_2_LAYER_1 = [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256];
const RATES_2 = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const SAMPLE_RATES_HZ = [44_100, 48_000, 32_000];

/**
 * Returns the length in bytes of the MPEG audio frame (layers I to III) that begins at this offset. Returns null if no such
 * frame begins there.
 */
export function mpegAudioFrameBytes(bytes: Uint8Array, at: number): number | null {
  if (at + 4 > bytes.length) return null;
  const second = bytes[at + 1] ?? 0;
  const third = bytes[at + 2] ?? 0;
  if (bytes[at] !== 0xff || (second & 0xe0) !== 0xe0) return null;
  // Version 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5 and 1 is reserved. The layer field is 3 for layer I, 2 for II and 1 for
  // III; 0 is reserved.
  const version = (second >> 3) & 3;
  const layer = 4 - ((second >> 1) & 3);
  const sampleRate = SAMPLE_RATES_HZ[(third >> 2) & 3];
  if (version === 1 || layer === 4 || sampleRate === undefined) return null;
  const low = layer === 1 ? RATES_2_LAYER_1 : RATES_2;
  const rate = (version === 3 ? RATES_1[layer - 1] : low)?.[(third >> 4) - 1];
  if (rate === undefined) return null;
  const sampleRateHz = version === 3 ? sampleRate : sampleRate / (version === 2 ? 2 : 4);
  const padding = (third >> 1) & 1;
  if (layer === 1) return (Math.floor((12_000 * rate) / sampleRateHz) + padding) * 4;
  const half = layer === 3 && version !== 3;
  return Math.floor(((half ? 72_000 : 144_000) * rate) / sampleRateHz) + padding;
}
