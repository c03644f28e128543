/** Waits for work, but not for longer than a bound. Returns whether it was done in time; its failure is thrown. */
export async function settledWithin(work: Promise<unknown>, boundMs: number): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  const timer = setTimeout(() => late.resolve(false), boundMs);
  try {
    return await Promise.race([work.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
