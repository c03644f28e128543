/** A point in time as the API writes it: ISO 8601 in UTC, from Unix ms. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
