/** The size and frame rate of a picture. */
export interface Canvas {
  /** The size in pixels. Both numbers are even. */
  readonly width: number;
  readonly height: number;
  readonly fps: number;
}

/** The format of the AAC audio that the room gets. */
export interface AudioFormat {
  readonly sampleRateHz: number;
  /** 1 or 2. */
  readonly channels: number;
}
