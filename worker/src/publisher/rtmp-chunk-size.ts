/** The chunk size that TRTC's documentation recommends. The documentation names larger chunks as a cause of failed pushes. */
export const DEFAULT_CHUNK_BYTES = 1360;

/**
 * The sizes that `ROOMCAST_RTMP_CHUNK_SIZE` may set. The lower limit is RTMP's own default (section 5.4.1 of the
 * specification); servers are known to refuse chunks above the upper one.
 */
export const CHUNK_BYTES = { smallest: 128, largest: 65_536 } as const;
