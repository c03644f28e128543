/** A picture's size and frame rate. */
export interface Canvas {
  /** Pixels, even. */
  readonly width: number;
  readonly height: number;
  readonly fps: number;
}

/** Of the AAC that the room hears. */
export interface AudioFormat {
  readonly sampleRateHz: number;
  /** 1 or 2. */
  readonly channels: number;
}
