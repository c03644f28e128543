import { type Coordinates, nearestRegion, neighboursOf } from "../model/region-distance.ts";

export interface RegionWishes {
  /** The `Region` of the request. If it is given, no other region is tried. */
  readonly asked: string | undefined;
  /** The header `X-TC-Region`: the region that is tried first. */
  readonly header: string | undefined;
  /** The caller's location, or null if it is not known. */
  readonly caller: Coordinates | null;
  readonly fallback: string;
  /** The regions that the edge's settings list, with or without workers; the fallback is among them. */
  readonly configured: readonly string[];
}

/** The region in which a push begins. */
export type ChosenRegion =
  | { readonly kind: "chosen"; readonly region: string }
  /** The request names an unknown region. Naming a region must not create an object for it. */
  | { readonly kind: "unknown"; readonly known: readonly string[] };

/**
 * Returns the region in which a push looks for a worker first. The function is pure, except that it asks for the names of the
 * regions that have ever had a worker if it needs them.
 */
export async function chooseRegion(
  { asked, header, caller, fallback, configured }: RegionWishes,
  withWorkers: () => Promise<readonly string[]>,
): Promise<ChosenRegion> {
  const named = asked ?? header;
  if (named === undefined && caller === null) return chosen(fallback);
  if (named !== undefined && configured.includes(named)) return chosen(named);
  const peopled = [...new Set([...(await withWorkers()), fallback])];
  if (named === undefined) return chosen((caller === null ? null : nearestRegion(caller, peopled)) ?? fallback);
  if (peopled.includes(named)) return chosen(named);
  if (asked !== undefined) return { kind: "unknown", known: [...new Set([...configured, ...peopled])] };
  // Clients of Tencent's API must send a region, so an unknown one is not refused.
  return chosen(neighboursOf(named, peopled)[0] ?? fallback);
}

function chosen(region: string): ChosenRegion {
  return { kind: "chosen", region };
}

/**
 * Returns the caller's location from `request.cf`, which gives the degrees as strings. Returns null if Cloudflare does not know
 * the location.
 */
export function callerCoordinates(cf: unknown): Coordinates | null {
  // SAFETY: the properties of `cf` are checked one by one.
  const { latitude, longitude } = (cf ?? {}) as Record<string, unknown>;
  if (typeof latitude !== "string" || typeof longitude !== "string") return null;
  const at = { latitude: Number.parseFloat(latitude), longitude: Number.parseFloat(longitude) };
  return Number.isFinite(at.latitude) && Number.isFinite(at.longitude) ? at : null;
}
