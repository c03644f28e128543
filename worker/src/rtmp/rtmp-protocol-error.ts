/** What a peer sent breaks RTMP or AMF0, or one of our limits. The only error that decoding of either throws. */
export class RtmpProtocolError extends Error {
  override readonly name = "RtmpProtocolError";
}
