const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface Interrupt {
  /** True if this process is to end. */
  readonly begun: boolean;
  /** Leaves the signals alone again. */
  forget(): void;
}

/**
 * Runs `stop` once when this process is to end (Ctrl-C, a signal, or the process that started it is gone),
 * then ends it. Child processes that `stop` does not know of yet are ended by the reaper (`reaper.ts`).
 */
export function onInterrupt(stop: () => Promise<void>): Interrupt {
  let begun = false;
  const end = (exitCode: number) => {
    // A terminal's Ctrl-C comes twice: from the terminal, and from the process that started this one and passes it on.
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
