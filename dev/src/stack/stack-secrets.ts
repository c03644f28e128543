import { randomBytes } from "node:crypto";
import { mintUserSig, mintWorkerToken } from "@roomcast/shared";

/** The TRTC application that the emulator knows. */
export const SDK_APP_ID = 1400000001;
/** The region of a stack's workers. */
export const REGION = "ap-guangzhou";

const USER_SIG_LIFETIME_S = 24 * 3600;
const WORKER_TOKEN_LIFETIME_S = 7 * 24 * 3600;

/** The secrets that the parts of a stack share. */
export interface StackSecrets {
  /** The SecretKey of the TRTC application. */
  readonly trtcSecretKey: string;
  /** The API's credential. */
  readonly secretId: string;
  readonly secretKey: string;
  readonly workerTokenKey: string;
  readonly sealKey: string;
}

/** New ones, at random. */
export function newStackSecrets(): StackSecrets {
  return {
    trtcSecretKey: randomText(),
    secretId: `AKID${randomBytes(8).toString("hex")}`,
    secretKey: randomText(),
    workerTokenKey: randomText(),
    sealKey: randomText(),
  };
}

/** The value of an Authorization header that may do everything. */
export function authorizationOf({ secretId, secretKey }: StackSecrets): string {
  return `Bearer ${secretId}.${secretKey}`;
}

/** The credential as the shell variables of the curl calls that are shown. */
export function credentialVariables({ secretId, secretKey }: StackSecrets): Record<string, string> {
  return { SECRET_ID: secretId, SECRET_KEY: secretKey };
}

/** The edge's secrets by their names in docs/operations.md. */
export function edgeSettings(secrets: StackSecrets): Record<string, string> {
  const { secretId, secretKey, trtcSecretKey } = secrets;
  return {
    CREDENTIALS: JSON.stringify([{ secretId, secretKey, sdkAppIds: "*", role: "admin" }]),
    WORKER_TOKEN_KEY: secrets.workerTokenKey,
    SEAL_KEY: secrets.sealKey,
    TRTC_APPS: JSON.stringify({ [SDK_APP_ID]: trtcSecretKey }),
    DEFAULT_REGION: REGION,
    // One credential makes all calls here, and tests and progress lines call more often than users.
    RATE_LIMIT_PER_SECOND: "0",
  };
}

/** A UserSig of the application, signed with its SecretKey. */
export function stackUserSig(
  { trtcSecretKey }: StackSecrets,
  userId: string,
  lifetimeS = USER_SIG_LIFETIME_S,
): Promise<string> {
  return mintUserSig({ sdkAppId: SDK_APP_ID, userId, secretKey: trtcSecretKey, lifetimeS, nowMs: Date.now() });
}

/** The token with which a worker of this id may dial the edge. */
export function stackWorkerToken(
  { workerTokenKey }: StackSecrets,
  { workerId, region = REGION }: { readonly workerId: string; readonly region?: string | undefined },
): Promise<string> {
  return mintWorkerToken({ workerId, regions: [region], key: workerTokenKey, lifetimeS: WORKER_TOKEN_LIFETIME_S });
}

function randomText(): string {
  return randomBytes(32).toString("hex");
}
