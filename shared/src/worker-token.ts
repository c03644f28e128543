import { errors, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import { RoomcastError } from "./errors.ts";
import { regionName } from "./region.ts";

const AUDIENCE = "roomcast:fleet";

const workerIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, "1 to 64 letters, digits, dots, hyphens or underscores");

const claimsSchema = z.object({ sub: workerIdSchema, regions: z.array(regionName).min(1) });

/** What a worker token allows: one worker id, in these regions, until it expires. */
export interface WorkerIdentity {
  readonly workerId: string;
  readonly regions: readonly string[];
}

export interface MintWorkerTokenOptions extends WorkerIdentity {
  /** The signing key, at least 32 characters. */
  readonly key: string;
  /** How long it holds, seconds. */
  readonly lifetimeS: number;
}

/** Mints the JWT (HS256) with which a worker dials the edge. */
export function mintWorkerToken(options: MintWorkerTokenOptions): Promise<string> {
  return new SignJWT({ regions: [...options.regions] })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(options.workerId)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + options.lifetimeS)
    .sign(new TextEncoder().encode(options.key));
}

/**
 * Reads and verifies a worker token.
 *
 * @throws RoomcastError `AuthFailure.InvalidWorkerToken`.
 */
export async function verifyWorkerToken(token: string, key: string): Promise<WorkerIdentity> {
  try {
    const { payload } = await jwtVerify(token, new TextEncoder().encode(key), {
      algorithms: ["HS256"],
      audience: AUDIENCE,
      requiredClaims: ["exp", "sub"],
    });
    const claims = claimsSchema.parse(payload);
    return { workerId: claims.sub, regions: claims.regions };
  } catch (cause) {
    const why = cause instanceof errors.JWTExpired ? "it has expired" : "it is not one that this edge has signed";
    throw new RoomcastError("AuthFailure.InvalidWorkerToken", `The worker token is not valid: ${why}.`, { cause });
  }
}
