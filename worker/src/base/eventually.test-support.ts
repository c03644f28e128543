import { vi } from "vitest";

/** Time limit for short work on a busy machine. */
const PATIENCE = { timeout: 15_000, interval: 10 };

/** Repeats a check until it succeeds, and returns its result. */
export function eventually<Seen>(look: () => Seen | Promise<Seen>): Promise<Seen> {
  return vi.waitFor(look, PATIENCE);
}
