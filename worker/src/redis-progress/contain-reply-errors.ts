import imported from "ioredis/built/DataHandler.js";

/**
 * Makes an invalid reply end its connection and nothing else. ioredis rethrows some of these errors outside of every
 * call,
 * which would end the process: an unrequested null (`$-1`) from a server is enough. For other replies without a
 * command,
 * ioredis makes an error each and reads on, so a flood of them would keep the process busy.
 */
export function containReplyErrors(): void {
  // Node returns the CommonJS module as a whole, other loaders its default export.
  const known: unknown = "default" in imported ? imported.default : imported;
  // SAFETY: private to its class, but the one place through which every reply goes (ioredis 6.0). The tests of hostile
  // servers in redis-connection.test.ts fail where a newer ioredis does without it.
  const handler = (known as { prototype: ReplyHandler }).prototype;
  handler.dispatch = dispatch;
}

function dispatch(this: ReplyHandler, work: () => void): void {
  const { stream, commandQueue } = this.redis;
  if (stream.destroyed) return;
  if (commandQueue.length === 0) {
    stream.destroy(new Error("Protocol error: an answer to nothing"));
    return;
  }
  try {
    work();
  } catch (error) {
    this.returnFatalError(error);
    stream.destroy();
  }
}

interface ReplyHandler {
  readonly redis: {
    readonly stream: { readonly destroyed: boolean; destroy(error?: Error): void };
    /** Commands without an answer yet. */
    readonly commandQueue: { readonly length: number };
  };
  dispatch(work: () => void): void;
  /** Rejects the commands that wait on the connection. */
  returnFatalError(error: unknown): void;
}
