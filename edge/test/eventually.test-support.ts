import { vi } from "vitest";

/** The timeout is long enough for a busy machine. */
const WAIT = { timeout: 10_000, interval: 10 };

/** Repeats `look` until it does not throw and resolves to its result. */
export function eventually<Seen>(look: () => Seen | Promise<Seen>): Promise<Seen> {
  return vi.waitFor(look, WAIT);
}
