import type { ArrivedTag, TagRole } from "./stream-measure.ts";

/** The output for a viewer's bytes, such as Node's `http.ServerResponse`. */
export interface FlvOutput {
  write(chunk: Buffer): boolean;
  end(): void;
  destroy(): void;
  cork(): void;
  uncork(): void;
  /** Bytes that were written and not sent yet. */
  readonly writableLength: number;
}

/** The sequence headers that hold at this moment. */
export interface SequenceHeaders {
  readonly video: ArrivedTag | undefined;
  readonly audio: ArrivedTag | undefined;
}

/** FLV 10.1, E.2, with audio and video, and the first PreviousTagSize. */
const FILE_HEADER = Buffer.from([0x46, 0x4c, 0x56, 1, 5, 0, 0, 0, 9, 0, 0, 0, 0]);

/** More than this waiting, and the viewer is left out until the next keyframe that finds room. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** A viewer that has no room for this number of keyframes in a row is dropped. */
const MAX_MISSED_KEYFRAMES = 10;

type ViewerState = { readonly name: "passing" } | { readonly name: "skipping"; readonly missedKeyframes: number };

/** One reader of a stream as HTTP-FLV. What a slow reader cannot take is left out, never kept. */
export class FlvViewer {
  readonly #output: FlvOutput;
  #state: ViewerState = { name: "skipping", missedKeyframes: 0 };

  constructor(output: FlvOutput) {
    this.#output = output;
    output.write(FILE_HEADER);
  }

  /** Begins with a whole group of pictures, which starts with a keyframe. */
  begin(headers: SequenceHeaders, group: readonly ArrivedTag[]): void {
    const first = group[0];
    if (first === undefined) return;
    this.#output.cork();
    this.#writeHeaders(headers, first.timestampMs);
    for (const tag of group) this.#writeTag(tag, tag.timestampMs);
    this.#output.uncork();
    this.#state = { name: "passing" };
  }

  /** `headers` are those that hold for `tag`. False: the viewer was given up. */
  send(tag: ArrivedTag, role: TagRole, headers: SequenceHeaders): boolean {
    const full = this.#output.writableLength > MAX_WAITING_BYTES;
    if (this.#state.name === "passing") {
      if (full) this.#state = { name: "skipping", missedKeyframes: 0 };
      else this.#writeTag(tag, tag.timestampMs);
      return true;
    }
    const mayEnter = role === "keyframe" || (role === "frame" && headers.video === undefined);
    if (!mayEnter) return true;
    if (full) {
      const missedKeyframes = this.#state.missedKeyframes + 1;
      if (missedKeyframes >= MAX_MISSED_KEYFRAMES) {
        this.#output.destroy();
        return false;
      }
      this.#state = { name: "skipping", missedKeyframes };
      return true;
    }
    this.#state = { name: "passing" };
    this.#writeHeaders(headers, tag.timestampMs);
    this.#writeTag(tag, tag.timestampMs);
    return true;
  }

  end(): void {
    this.#output.end();
  }

  #writeHeaders(headers: SequenceHeaders, timestampMs: number): void {
    if (headers.video !== undefined) this.#writeTag(headers.video, timestampMs);
    if (headers.audio !== undefined) this.#writeTag(headers.audio, timestampMs);
  }

  /** FLV 10.1, E.4.1. */
  #writeTag(tag: ArrivedTag, timestampMs: number): void {
    const size = tag.payload.length;
    const head = Buffer.alloc(11);
    head[0] = tag.kind === "video" ? 9 : 8;
    head.writeUIntBE(size, 1, 3);
    head.writeUIntBE(timestampMs & 0xffffff, 4, 3);
    head[7] = (timestampMs >>> 24) & 0xff;
    const previousTagSize = Buffer.alloc(4);
    previousTagSize.writeUInt32BE(size + 11);
    this.#output.cork();
    this.#output.write(head);
    this.#output.write(tag.payload);
    this.#output.write(previousTagSize);
    this.#output.uncork();
  }
}
