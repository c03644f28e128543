import { z } from "zod";

const EXPECTED = 'a host name or address, or "rediss://host" or "rediss://host:port" for a connection by TLS';

/** The user, the password and the database have separate fields: the host is shown, and must hold no secret. */
const HOST = /^(?:[A-Za-z0-9_.:-]+|rediss:\/\/(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[1-9][0-9]{0,4})?\/?)$/;

export const redisHost = z
  .string(EXPECTED)
  .min(1, EXPECTED)
  .max(253, EXPECTED)
  .regex(HOST, EXPECTED)
  .refine((host) => !isRedisUrl(host) || URL.canParse(host), EXPECTED);

export function isRedisUrl(host: unknown): host is string {
  return typeof host === "string" && host.startsWith("rediss://");
}

/** Null if the host names no port. */
export function portInRedisHost(host: unknown): number | null {
  const port = isRedisUrl(host) ? URL.parse(host)?.port : "";
  return port === undefined || port === "" ? null : Number(port);
}

/** Returns the address of a request's Redis, for each form that `RedisHost` may have. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

/** Uses `RedisPort` if `RedisHost` names no port; without either it is Redis' default port. Pure. */
export function redisAddress(request: {
  readonly RedisHost?: string | undefined;
  readonly RedisPort?: number | undefined;
  readonly RedisTls?: boolean | undefined;
}): RedisAddress {
  const { RedisHost: given = "", RedisPort = 6379, RedisTls: tls = false } = request;
  const url = isRedisUrl(given) ? URL.parse(given) : null;
  if (url === null) return { host: given, port: RedisPort, tls };
  // Only a URL writes an IPv6 address in brackets.
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port: portInRedisHost(given) ?? RedisPort, tls: true };
}
