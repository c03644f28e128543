import { setTimeout as wait } from "node:timers/promises";
import { RoomcastError, shownText } from "@roomcast/shared";
import { RtmpPublisher } from "@roomcast/worker/rtmp-publisher";
import type { Clip } from "./check-clips.ts";

/** The outcome of a push. */
export type Outcome =
  /** The room took it to its end. */
  | { readonly kind: "kept" }
  /** The room let it in and ended it. */
  | { readonly kind: "ended"; readonly afterMs: number; readonly why: string }
  /** The room did not let it in. */
  | { readonly kind: "refused"; readonly why: string }
  /** There was no answer, or no reason. */
  | { readonly kind: "unreachable"; readonly why: string };

export interface PushOptions {
  readonly url: string;
  readonly chunkBytes: number;
  readonly clip: Clip;
  /** The time for which the connection stays open after the last picture, ms. */
  readonly holdMs: number;
  readonly secrets: readonly string[];
  readonly signal: AbortSignal;
  /** It is in the room. */
  readonly onEntered?: () => void;
}

/** Pushes a clip once, in its own time. */
export async function pushOnce(options: PushOptions): Promise<Outcome> {
  const { url, chunkBytes, clip, holdMs, secrets, signal } = options;
  const ended = new AbortController();
  let answer = "";
  let why: RoomcastError | undefined;
  const log = {
    warn: (fields: object) => {
      if ("answer" in fields && typeof fields.answer === "string") answer = ` Its answer: ${fields.answer}`;
    },
  };
  const publisher = new RtmpPublisher({ url, chunkBytes, log });
  publisher.onEnded = (error) => {
    why = error;
    ended.abort();
  };
  const said = (error: RoomcastError) => shownText(`${error.message}${answer}`, secrets);
  try {
    signal.throwIfAborted();
    await publisher.start(() => Promise.resolve());
    options.onEntered?.();
    const enteredAtMs = performance.now();
    publisher.sendMetadata({ width: clip.width, height: clip.height, fps: null });
    const either = AbortSignal.any([signal, ended.signal]);
    await sendInTime(publisher, clip, either);
    await wait(holdMs, undefined, { signal: either }).catch(() => undefined);
    signal.throwIfAborted();
    if (why === undefined) return { kind: "kept" };
    return { kind: "ended", afterMs: Math.round(performance.now() - enteredAtMs), why: said(why) };
  } catch (thrown) {
    if (!(thrown instanceof RoomcastError)) throw thrown;
    const kind = thrown.code === "FailedOperation.RoomRefused" ? "refused" : "unreachable";
    return { kind, why: said(thrown) };
  } finally {
    await publisher.stop();
  }
}

async function sendInTime(publisher: RtmpPublisher, { tags }: Clip, signal: AbortSignal): Promise<void> {
  const startedAtMs = performance.now();
  for (const tag of tags) {
    const aheadMs = tag.timestampMs - (performance.now() - startedAtMs);
    if (aheadMs > 0) await wait(aheadMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    publisher.send(tag);
  }
}
