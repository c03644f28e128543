/** Waits for work up to a time limit. Returns true if it was done in time. If the work fails, its error is thrown. */
export async function settledWithin(work: Promise<unknown>, boundMs: number): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  const timer = setTimeout(() => late.resolve(false), boundMs);
  try {
    return await Promise.race([work.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
