import { type FlvOutput, FlvViewer, type SequenceHeaders } from "./flv-viewer.ts";
import type { ArrivedTag, TagRole } from "./stream-measure.ts";

/** A group of pictures longer than this is not kept; viewers then begin at the next keyframe. */
const MAX_GROUP_BYTES = 8 * 1024 * 1024;
const MAX_GROUP_TAGS = 5000;

/** Passes one publisher's stream on to those who watch, and keeps the newest group of pictures for who comes next. */
export class StreamRelay {
  readonly #keepsGroup: boolean;
  readonly #viewers = new Set<FlvViewer>();
  #headers: SequenceHeaders = { video: undefined, audio: undefined };
  #group: ArrivedTag[] = [];
  #groupBytes = 0;
  #ended = false;

  constructor(options: { readonly keepsGroup: boolean }) {
    this.#keepsGroup = options.keepsGroup;
  }

  push(tag: ArrivedTag, role: TagRole): void {
    if (role === "sequence-header") this.#headers = { ...this.#headers, [tag.kind]: tag };
    if (this.#keepsGroup) this.#keep(tag, role);
    for (const viewer of this.#viewers) {
      if (!viewer.send(tag, role, this.#headers)) this.#viewers.delete(viewer);
    }
  }

  /** Lets somebody watch; returns how to leave. */
  watch(output: FlvOutput): () => void {
    const viewer = new FlvViewer(output);
    if (this.#ended) {
      viewer.end();
      return () => {};
    }
    viewer.begin(this.#headers, this.#group);
    this.#viewers.add(viewer);
    return () => this.#viewers.delete(viewer);
  }

  end(): void {
    this.#ended = true;
    this.#group = [];
    for (const viewer of this.#viewers) viewer.end();
    this.#viewers.clear();
  }

  #keep(tag: ArrivedTag, role: TagRole): void {
    if (role === "keyframe") {
      this.#group = [];
      this.#groupBytes = 0;
    } else if (this.#group.length === 0) {
      return;
    }
    this.#group.push(tag);
    this.#groupBytes += tag.payload.length;
    if (this.#groupBytes > MAX_GROUP_BYTES || this.#group.length > MAX_GROUP_TAGS) this.#group = [];
  }
}
