import { type Coordinates, nearestRegion } from "../model/region-distance.ts";

export interface RegionWishes {
  /** `Region` of the request: no other region will do. */
  readonly asked: string | undefined;
  /** The header `X-TC-Region`: where to begin. */
  readonly header: string | undefined;
  /** Where the caller is; null: not known. */
  readonly caller: Coordinates | null;
  readonly fallback: string;
}

/** The region in which a push looks for a worker first. Pure but for `known`, which is asked only where it matters. */
export async function chooseRegion(wishes: RegionWishes, known: () => Promise<readonly string[]>): Promise<string> {
  const { asked, header, caller, fallback } = wishes;
  const named = asked ?? header;
  if (named !== undefined) return named;
  return (caller === null ? null : nearestRegion(caller, await known())) ?? fallback;
}

/** Where Cloudflare sees the caller: `request.cf`, whose degrees are texts. Null: it does not say. */
export function callerCoordinates(cf: unknown): Coordinates | null {
  // SAFETY: whatever it is, its properties are looked at one by one.
  const { latitude, longitude } = (cf ?? {}) as Record<string, unknown>;
  if (typeof latitude !== "string" || typeof longitude !== "string") return null;
  const at = { latitude: Number.parseFloat(latitude), longitude: Number.parseFloat(longitude) };
  return Number.isFinite(at.latitude) && Number.isFinite(at.longitude) ? at : null;
}
