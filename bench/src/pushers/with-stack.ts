import { BUILT_WORKER, buildWorker } from "@roomcast/dev/stack/built-worker";
import { type Stack, startStack } from "@roomcast/dev/stack/stack";

export interface WithStackOptions {
  /** Stops everything early. */
  readonly signal: AbortSignal;
  /** Settings of the worker beside the ones that connect it. */
  readonly workerSettings?: Readonly<Record<string, string>>;
}

/** Starts everything that a push needs, with the deployed worker. Everything has ended when this settles. */
export async function withStack<T>(options: WithStackOptions, use: (stack: Stack) => Promise<T>): Promise<T> {
  const { signal, workerSettings = {} } = options;
  await buildWorker();
  // One user pushes into many rooms: what is measured is the load, not the rooms' rules.
  const roomRules = { userIdPerApp: false };
  const stack = await startStack({ redis: false, workerProgram: BUILT_WORKER, workerSettings, roomRules });
  const stop = () => void stack.stop();
  signal.addEventListener("abort", stop);
  try {
    signal.throwIfAborted();
    return await use(stack);
  } finally {
    signal.removeEventListener("abort", stop);
    await stack.stop();
  }
}
