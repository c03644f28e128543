/** Logs a fault inside the edge that is repaired later. */
export function warn(message: string, thrown: unknown): void {
  console.warn(message, { thrown: String(thrown) });
}
