import type { RoomcastError } from "@roomcast/shared";
import type { OutgoingMedia, Publisher, StreamMetadata } from "./publisher.ts";

/** Totals of the media that this process has sent to rooms since it started. */
export interface MediaMeter {
  videoMessages: number;
  audioMessages: number;
  payloadBytes: number;
}

/** A publisher that counts the media that passes through it. */
export class MeteredPublisher implements Publisher {
  readonly #inner: Publisher;
  readonly #meter: MediaMeter;

  constructor(inner: Publisher, meter: MediaMeter) {
    this.#inner = inner;
    this.#meter = meter;
  }

  get queuedBytes(): number {
    return this.#inner.queuedBytes;
  }

  get sentBytes(): number {
    return this.#inner.sentBytes;
  }

  get onEnded(): ((error: RoomcastError) => void) | undefined {
    return this.#inner.onEnded;
  }

  set onEnded(listener: ((error: RoomcastError) => void) | undefined) {
    this.#inner.onEnded = listener;
  }

  start(mayPublish: () => Promise<void>): Promise<void> {
    return this.#inner.start(mayPublish);
  }

  sendMetadata(metadata: StreamMetadata): void {
    this.#inner.sendMetadata(metadata);
  }

  send(media: OutgoingMedia): void {
    if (media.kind === "video") this.#meter.videoMessages += 1;
    else this.#meter.audioMessages += 1;
    this.#meter.payloadBytes += media.payload.length;
    this.#inner.send(media);
  }

  stop(): Promise<void> {
    return this.#inner.stop();
  }
}
