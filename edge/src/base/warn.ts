/** Logs an internal fault of the edge from which it recovers by itself. */
export function warn(message: string, thrown: unknown): void {
  console.warn(message, { thrown: String(thrown) });
}
