/** placeholder */
export function runDev(): Promise<number> {
  return Promise.resolve(1);
}
