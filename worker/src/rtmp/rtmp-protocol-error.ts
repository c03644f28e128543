/** A peer violated RTMP, AMF0 or one of the limits. The only error that decoding throws. */
export class RtmpProtocolError extends Error {
  override readonly name = "RtmpProtocolError";
}
