/** What went wrong inside the edge and is made good later. */
export function warn(message: string, thrown: unknown): void {
  console.warn(message, { thrown: String(thrown) });
}
