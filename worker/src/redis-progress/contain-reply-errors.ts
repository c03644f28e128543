import imported from "ioredis/built/DataHandler.js";

/**
 * Makes what ioredis throws over a reply end that connection alone. It throws such an error again outside of every call,
 * which would end the process: a server needs no more for that than a null (`$-1`) that nobody has asked for.
 */
export function containReplyErrors(): void {
  // Node hands on the CommonJS module as a whole, other loaders its default export.
  const known: unknown = "default" in imported ? imported.default : imported;
  // SAFETY: private to its class, but the one place through which every reply goes (ioredis 6.0). The tests of hostile
  // servers in redis-connection.test.ts fail where a newer ioredis does without it.
  const handler = (known as { prototype: ReplyHandler }).prototype;
  handler.dispatch = function dispatch(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.returnFatalError(error);
    }
  };
}

interface ReplyHandler {
  dispatch(work: () => void): void;
  /** Ends the connection and rejects what waits on it. */
  returnFatalError(error: unknown): void;
}
