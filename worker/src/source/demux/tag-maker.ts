import type { MediaTag } from "../../media/media-tag.ts";
import { PayloadPool } from "../payload-pool.ts";

/**
 * The sizes of VideoTagHeader with AVCVIDEOPACKET and of AudioTagHeader with AACAUDIODATA (Adobe FLV 10.1, E.4.3.1 and
 * E.4.2.1).
 */
export const VIDEO_HEADER_BYTES = 5;
export const AUDIO_HEADER_BYTES = 2;
const KEYFRAME_AVC = 0x17;
const INTER_FRAME_AVC = 0x27;
const AAC_44KHZ_16BIT_STEREO = 0xaf;
const PACKET_SEQUENCE_HEADER = 0;
const PACKET_MEDIA = 1;
/** The largest composition time that is believed, ms. A larger one comes from a damaged clock, not from B-frames. */
const MAX_COMPOSITION_MS = 10_000;

interface PictureTimes {
  readonly dtsMs: number;
  readonly ptsMs: number;
  readonly keyframe: boolean;
}

/** Allocates the payloads of tags from one pool. */
export class TagMaker {
  readonly #pool = new PayloadPool();

  /** Returns a payload with room for `bytes` after its header: {@link VIDEO_HEADER_BYTES}, {@link AUDIO_HEADER_BYTES}. */
  room(kind: MediaTag["kind"], bytes: number): Buffer {
    return this.#pool.allocate((kind === "video" ? VIDEO_HEADER_BYTES : AUDIO_HEADER_BYTES) + bytes);
  }
}

/** Makes a tag by writing the header of a payload that holds NAL units, each after a length of 4 bytes. */
export function pictureTag({ dtsMs, ptsMs, keyframe }: PictureTimes, payload: Buffer): MediaTag {
  const difference = Math.round(ptsMs - dtsMs);
  const compositionMs = Math.abs(difference) > MAX_COMPOSITION_MS ? 0 : difference;
  payload[0] = keyframe ? KEYFRAME_AVC : INTER_FRAME_AVC;
  payload[1] = PACKET_MEDIA;
  payload.writeIntBE(compositionMs, 2, 3);
  return { kind: "video", dtsMs, compositionMs, keyframe, sequenceHeader: false, payload };
}

/** Makes a tag by writing the header of a payload that holds one raw AAC frame. */
export function soundTag(dtsMs: number, payload: Buffer): MediaTag {
  payload[0] = AAC_44KHZ_16BIT_STEREO;
  payload[1] = PACKET_MEDIA;
  return { kind: "audio", dtsMs, compositionMs: 0, keyframe: true, sequenceHeader: false, payload };
}

/** Makes a sequence header. @param record an AVCDecoderConfigurationRecord or an AudioSpecificConfig */
export function sequenceHeaderTag(kind: MediaTag["kind"], dtsMs: number, record: Buffer): MediaTag {
  const head =
    kind === "video"
      ? Buffer.of(KEYFRAME_AVC, PACKET_SEQUENCE_HEADER, 0, 0, 0)
      : Buffer.of(AAC_44KHZ_16BIT_STEREO, PACKET_SEQUENCE_HEADER);
  const payload = Buffer.concat([head, record]);
  return { kind, dtsMs, compositionMs: 0, keyframe: kind === "audio", sequenceHeader: true, payload };
}
