/** The error for a peer that violated RTMP, AMF0 or one of the limits. Decoding throws no other error. */
export class RtmpProtocolError extends Error {
  override readonly name = "RtmpProtocolError";
}
