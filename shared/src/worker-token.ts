import { errors, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import { RoomcastError } from "./errors.ts";
import { regionName } from "./region.ts";

const AUDIENCE = "roomcast:fleet";

const WORKER_ID_EXPECTED = "1 to 64 letters, digits, dots, hyphens or underscores";
export const workerIdSchema = z.string(WORKER_ID_EXPECTED).regex(/^[A-Za-z0-9._-]{1,64}$/, WORKER_ID_EXPECTED);

const claimsSchema = z.object({
  sub: workerIdSchema,
  regions: z.array(regionName).min(1),
  jti: z.string().max(64).optional(),
});

/** The claims of a worker token: one worker id, in these regions, until it expires. */
export interface WorkerIdentity {
  readonly workerId: string;
  readonly regions: readonly string[];
}

export interface VerifiedWorkerToken extends WorkerIdentity {
  /** The token's id (RFC 7519, section 4.1.7); null if it has none. */
  readonly tokenId: string | null;
}

export interface MintWorkerTokenOptions extends WorkerIdentity {
  /** The signing key, at least 32 characters. */
  readonly key: string;
  /** Lifetime, seconds. */
  readonly lifetimeS: number;
  /** The token's id, which distinguishes it from other tokens of the same worker. */
  readonly tokenId?: string;
}

/** Mints the JWT (HS256) with which a worker connects to the edge. */
export function mintWorkerToken(options: MintWorkerTokenOptions): Promise<string> {
  const { tokenId } = options;
  return new SignJWT({ regions: [...options.regions], ...(tokenId === undefined ? {} : { jti: tokenId }) })
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
 * @param keys any of which may have signed it
 * @throws RoomcastError `AuthFailure.InvalidWorkerToken`.
 */
export async function verifyWorkerToken(
  token: string,
  keys: string | readonly [string, ...string[]],
): Promise<VerifiedWorkerToken> {
  try {
    const [newest, ...older] = typeof keys === "string" ? ([keys] as const) : keys;
    let verified = verify(token, newest);
    for (const key of older) {
      verified = verified.catch((thrown: unknown) => {
        if (thrown instanceof errors.JWSSignatureVerificationFailed) return verify(token, key);
        throw thrown;
      });
    }
    const { payload } = await verified;
    const claims = claimsSchema.parse(payload);
    return { workerId: claims.sub, regions: claims.regions, tokenId: claims.jti ?? null };
  } catch (cause) {
    const why = cause instanceof errors.JWTExpired ? "it has expired" : "it is not one that this edge has signed";
    throw new RoomcastError("AuthFailure.InvalidWorkerToken", `The worker token is not valid: ${why}.`, { cause });
  }
}

function verify(token: string, key: string): ReturnType<typeof jwtVerify> {
  return jwtVerify(token, new TextEncoder().encode(key), {
    algorithms: ["HS256"],
    audience: AUDIENCE,
    requiredClaims: ["exp", "sub"],
  });
}
