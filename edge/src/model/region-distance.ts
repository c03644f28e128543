/** The latitude and longitude, in degrees, of the city that each region of Tencent Cloud is named after. */
const COORDINATES: ReadonlyMap<string, Coordinates> = new Map(
  Object.entries({
    "ap-guangzhou": [23.13, 113.26],
    "ap-shenzhen-fsi": [22.54, 114.06],
    "ap-shanghai": [31.23, 121.47],
    "ap-shanghai-fsi": [31.23, 121.47],
    "ap-nanjing": [32.06, 118.8],
    "ap-beijing": [39.9, 116.4],
    "ap-beijing-fsi": [39.9, 116.4],
    "ap-chengdu": [30.57, 104.07],
    "ap-chongqing": [29.56, 106.55],
    "ap-hongkong": [22.32, 114.17],
    "ap-taipei": [25.03, 121.57],
    "ap-singapore": [1.35, 103.82],
    "ap-jakarta": [-6.21, 106.85],
    "ap-bangkok": [13.76, 100.5],
    "ap-mumbai": [19.08, 72.88],
    "ap-seoul": [37.57, 126.98],
    "ap-tokyo": [35.68, 139.69],
    "na-siliconvalley": [37.37, -121.97],
    "na-ashburn": [39.04, -77.49],
    "na-toronto": [43.65, -79.38],
    "sa-saopaulo": [-23.55, -46.63],
    "eu-frankfurt": [50.11, 8.68],
    "eu-moscow": [55.76, 37.62],
    "me-saudi-arabia": [24.71, 46.68],
  } as const).map(([name, [latitude, longitude]]) => [name, { latitude, longitude }]),
);

const EARTH_RADIUS_KM = 6371;

/** A place on Earth, in degrees. */
export interface Coordinates {
  readonly latitude: number;
  readonly longitude: number;
}

/**
 * Returns the other regions whose coordinates are known, the nearest first. A region that is not one of Tencent Cloud's has no
 * coordinates and therefore no neighbours. Pure.
 */
export function neighboursOf(region: string, among: readonly string[]): string[] {
  const at = COORDINATES.get(region);
  return at === undefined
    ? []
    : byDistance(
        at,
        among.filter((name) => name !== region),
      );
}

/** Returns the region nearest to a place, or null if none of them has known coordinates. Pure. */
export function nearestRegion(at: Coordinates, among: readonly string[]): string | null {
  return byDistance(at, among)[0] ?? null;
}

function byDistance(at: Coordinates, among: readonly string[]): string[] {
  return among
    .flatMap((name) => {
      const there = COORDINATES.get(name);
      return there === undefined ? [] : [{ name, km: distanceKm(at, there) }];
    })
    .toSorted((a, b) => a.km - b.km || (a.name < b.name ? -1 : 1))
    .map(({ name }) => name);
}

/** The distance along a great circle, by the haversine formula. */
function distanceKm(a: Coordinates, b: Coordinates): number {
  const [latitude, longitude] = [radians(b.latitude - a.latitude), radians(b.longitude - a.longitude)];
  const h =
    Math.sin(latitude / 2) ** 2 +
    Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * Math.sin(longitude / 2) ** 2;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(h)));
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
