import imported from "ioredis/built/DataHandler.js";

/**
 * Makes an invalid reply end only its own connection. ioredis rethrows some of these errors outside of every call,
 * which would end the process: an unrequested null (`$-1`) from a server is enough. For each other reply without a
 * command, ioredis makes an error and continues to read, so a flood of such replies would keep the process busy.
 */
export function containReplyErrors(): void {
  // Node returns the CommonJS module as a whole, other loaders its default export.
  const known: unknown = "default" in imported ? imported.default : imported;
  // SAFETY: the method is private, but every reply passes through it (ioredis 6.0). The tests of hostile servers in
  // redis-connection.test.ts fail if a newer ioredis no longer uses it.
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
