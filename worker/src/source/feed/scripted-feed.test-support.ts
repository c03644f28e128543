import type { FlvTag } from "../../media/flv/flv-writer.ts";
import type { SourceEnd } from "../source.ts";
import { fedTag } from "./fed-tag.ts";
import type { TagFeed, TagTaker } from "./tag-feed.ts";

/** A feed with tags from a test. */
export class ScriptedFeed implements TagFeed {
  readonly #started = Promise.withResolvers<TagTaker>();
  paused = false;
  closed = false;

  start(taker: TagTaker): Promise<void> {
    this.#started.resolve(taker);
    return Promise.resolve();
  }

  /** Resolves when the source starts the feed. */
  get taker(): Promise<TagTaker> {
    return this.#started.promise;
  }

  async give(...tags: readonly FlvTag[]): Promise<void> {
    const taker = await this.taker;
    for (const { kind, timestampMs, payload } of tags) {
      const tag = kind === "data" ? null : fedTag(kind, timestampMs, payload);
      if (tag !== null) taker.take(tag);
    }
  }

  async end(end: SourceEnd = { name: "finished" }): Promise<void> {
    (await this.taker).end(end);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}
