/**
 * Waits for the answer of another object. Rejects when no answer comes in time; the object may still do what it was asked to
 * do.
 */
export async function answerInTime<Answer>(answer: Promise<Answer>, timeoutMs: number): Promise<Answer> {
  const waited = new AbortController();
  const late = async () => {
    await scheduler.wait(timeoutMs, { signal: waited.signal });
    throw new Error("the object did not answer in time");
  };
  try {
    return await Promise.race([answer, late()]);
  } finally {
    waited.abort();
  }
}
