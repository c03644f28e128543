import { vi } from "vitest";

/** As long as a busy machine may take for what takes a moment. */
const PATIENCE = { timeout: 15_000, interval: 10 };

/** Waits until a look succeeds, and has what it returned. */
export function eventually<Seen>(look: () => Seen | Promise<Seen>): Promise<Seen> {
  return vi.waitFor(look, PATIENCE);
}
