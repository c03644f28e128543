import { setTimeout as delay } from "node:timers/promises";
import { ArrivalPace } from "./arrival-pace.ts";
import { MediaSpan, type SpannedFormat } from "./media-span.ts";

/** The most bytes that are kept to judge a stream: about 20 s at high rates. */
const MAX_BYTES = 24 * 1024 * 1024;
/** The interval at which a stream is judged while nothing comes, ms. */
const LOOK_MS = 200;

/** A stream, and whether its beginning shows that it is a recording. */
export interface JudgedStream {
  readonly recorded: boolean;
  /**
   * All bytes of the stream from the first one on. The caller must read this iterable or call `return` on its iterator.
   */
  readonly body: AsyncIterable<Buffer>;
}

/**
 * Reads the beginning of a stream whose length is unknown. It is a recording if it ends, or if its media arrive much
 * faster than real time.
 */
export async function judgeStream(bytes: AsyncIterable<Buffer>, format: SpannedFormat): Promise<JudgedStream> {
  const rest = bytes[Symbol.asyncIterator]();
  const span = new MediaSpan(format);
  const pace = new ArrivalPace();
  const begunAtMs = performance.now();
  const read: Buffer[] = [];
  let length = 0;
  let look: Promise<void> | undefined;
  const lookAgain = async () => {
    await delay(LOOK_MS);
    look = undefined;
  };
  for (let next = keep(rest.next()); ; ) {
    look ??= lookAgain();
    const result = await Promise.race([next, look]);
    if (typeof result === "object" && result.done === true)
      return { recorded: true, body: replay(read, undefined, rest) };
    if (typeof result === "object") {
      read.push(result.value);
      length += result.value.length;
      span.push(result.value);
      next = keep(rest.next());
    }
    const elapsedMs = performance.now() - begunAtMs;
    const verdict = pace.judge({ elapsedMs, mediaMs: span.ms });
    const isFull = length >= MAX_BYTES;
    if (verdict === "undecided" && !isFull) continue;
    const recorded = verdict === "recording" || (verdict === "undecided" && span.ms > 2 * elapsedMs);
    return { recorded, body: replay(read, next, rest) };
  }
}

/** Prevents an unhandled rejection if the promise fails before anything awaits it. */
function keep<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

async function* replay(
  read: Buffer[],
  pending: Promise<IteratorResult<Buffer>> | undefined,
  rest: AsyncIterator<Buffer>,
): AsyncGenerator<Buffer, void> {
  try {
    for (let chunk = read.shift(); chunk !== undefined; chunk = read.shift()) yield chunk;
    if (pending === undefined) return;
    for (let next = await pending; next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}
