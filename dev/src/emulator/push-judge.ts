import { type PushRefusal, UNSUPPORTED } from "./push-refusal.ts";
import type { SessionEndReason } from "./room-report.ts";
import type { RoomRules } from "./room-rules.ts";
import type { StreamMeasure } from "./stream-measure.ts";

/** H.265 by its FourCC and by the number that senders in China use. */
const HEVC = new Set(["hvc1", "hev1", "codec-12"]);

/** Ends a push; without a refusal the connection is cut. */
type EndPush = (reason: SessionEndReason, refusal: PushRefusal | null) => void;

/** Ends a push that was let in and holds what rooms do not take. */
export class PushJudge {
  readonly #measure: StreamMeasure;
  readonly #rules: RoomRules;
  readonly #end: EndPush;
  #bFramesEnd: NodeJS.Timeout | undefined;

  constructor(measure: StreamMeasure, rules: RoomRules, end: EndPush) {
    this.#measure = measure;
    this.#rules = rules;
    this.#end = end;
  }

  /** After each message. */
  look(chunkBytes: number): void {
    const { bFramesEndAfterMs, refusesHevc } = this.#rules;
    if (refusesHevc && HEVC.has(this.#measure.videoCodec)) {
      this.#end("unsupported-codec", { code: UNSUPPORTED, description: "Rooms do not take H.265." });
    } else if (chunkRefusal(chunkBytes, this.#rules) !== null) {
      this.#end("chunk-size", null);
    } else if (bFramesEndAfterMs !== null && this.#measure.reordersFrames && this.#bFramesEnd === undefined) {
      this.#bFramesEnd = setTimeout(() => this.#end("b-frames", null), bFramesEndAfterMs);
    }
  }

  stop(): void {
    clearTimeout(this.#bFramesEnd);
  }
}

/** @returns null for chunks that are small enough. */
export function chunkRefusal(chunkBytes: number, { maxChunkBytes }: RoomRules): PushRefusal | null {
  if (maxChunkBytes === null || chunkBytes <= maxChunkBytes) return null;
  const description = `The chunk size of ${chunkBytes} bytes is too large: expected 1360, at most ${maxChunkBytes}.`;
  return { code: UNSUPPORTED, description };
}
