const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface Interrupt {
  /** Whether somebody wants us to end. */
  readonly begun: boolean;
  /** Leaves the signals alone again. */
  forget(): void;
}

/**
 * Runs `stop` once when somebody wants this process to end (Ctrl-C, a signal, or the process that started it is gone),
 * then ends it. Child processes that `stop` does not know of yet go with it: see `reaper`.
 */
export function onInterrupt(stop: () => Promise<void>): Interrupt {
  let begun = false;
  const end = (exitCode: number) => {
    // A terminal's Ctrl-C comes from the terminal and, passed on, from the process that started us.
    if (begun) return;
    begun = true;
    void stop().finally(() => process.exit(exitCode));
  };
  const onSigint = () => end(130);
  const onEnd = () => end(143);
  const listeners = SIGNALS.map((signal) => [signal, signal === "SIGINT" ? onSigint : onEnd] as const);
  for (const [signal, listener] of listeners) process.on(signal, listener);
  process.on("disconnect", onEnd);
  return {
    get begun() {
      return begun;
    },
    forget: () => {
      for (const [signal, listener] of listeners) process.off(signal, listener);
      process.off("disconnect", onEnd);
    },
  };
}
