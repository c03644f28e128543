import { z } from "zod";

/** ISO 8601, UTC, milliseconds. */
const time = z.iso.datetime();

const APPS_EXPECTED = 'a list of 1 to 50 SdkAppIds, or "*"';
const sdkAppId = z.int(APPS_EXPECTED).min(1, APPS_EXPECTED).max(4_294_967_295, APPS_EXPECTED);

/** The applications that a credential may see and change; `"*"` means all. */
export const appScopeSchema = z.union(
  [z.literal("*"), z.array(sdkAppId, APPS_EXPECTED).min(1, APPS_EXPECTED).max(50, APPS_EXPECTED)],
  APPS_EXPECTED,
);

export const roleSchema = z.enum(["viewer", "operator", "admin"], '"viewer", "operator" or "admin"');

const credentialSchema = z.object({
  secretId: z.string(),
  role: roleSchema,
  sdkAppIds: appScopeSchema,
  /** `secret`: the credential comes from the edge's secret CREDENTIALS and changes with a deploy only. */
  source: z.enum(["secret", "keyring"]),
  note: z.string(),
  /** Null if the time is not known, because the credential comes from the secret CREDENTIALS. */
  createdAt: time.nullable(),
  createdBy: z.string().nullable(),
  /**
   * The SecretKeys, newest first, without the keys themselves. If `validUntil` is null, a key is valid until it is
   * rotated or revoked.
   */
  keys: z.array(z.object({ since: time, validUntil: time.nullable() })),
});
export type CredentialView = z.output<typeof credentialSchema>;

/** The answer of `GET /v1/credentials`. */
export const credentialListSchema = z.object({ credentials: z.array(credentialSchema) });
export type CredentialList = z.output<typeof credentialListSchema>;

/** The answer when a credential is made or rotated. The SecretKey is shown only here. */
export const newCredentialSchema = credentialSchema.extend({ secretKey: z.string() });
export type NewCredential = z.output<typeof newCredentialSchema>;

const workerTokenSchema = z.object({
  tokenId: z.uuid(),
  workerId: z.string(),
  regions: z.array(z.string()),
  createdAt: time,
  createdBy: z.string(),
  expiresAt: time,
});
export type WorkerTokenView = z.output<typeof workerTokenSchema>;

/** The answer of `GET /v1/worker-tokens`: the valid tokens that were minted here, and the workers that were revoked. */
export const workerTokenListSchema = z.object({
  tokens: z.array(workerTokenSchema),
  revoked: z.array(z.object({ workerId: z.string(), revokedAt: time })),
});
export type WorkerTokenList = z.output<typeof workerTokenListSchema>;

/** The answer when a worker token is minted. The token is shown only here. */
export const newWorkerTokenSchema = workerTokenSchema.extend({ token: z.string() });
export type NewWorkerToken = z.output<typeof newWorkerTokenSchema>;

/** The answer of `GET /v1/callbacks/:sdkAppId`. Only the origin of the URL is shown; the key never is. */
export const callbackViewSchema = z.object({
  SdkAppId: z.int(),
  Url: z.string(),
  Events: z.enum(["trtc", "all"]),
  changedAt: time,
  changedBy: z.string(),
});
export type CallbackView = z.output<typeof callbackViewSchema>;

/** The answer of `GET /v1/audit`, newest first. */
export const auditListSchema = z.object({
  lines: z.array(
    z.object({
      /** A number that grows with each line; the query parameter `before` takes it to read older lines. */
      seq: z.int(),
      at: time,
      /** The SecretId of the credential that made the change. */
      by: z.string(),
      action: z.enum([
        "credential.add",
        "credential.rotate",
        "credential.revoke",
        "worker-token.mint",
        "worker.revoke",
        "worker.drain",
        "worker.undrain",
        "callback.set",
        "callback.remove",
      ]),
      subject: z.string(),
      sdkAppIds: appScopeSchema,
      detail: z.string(),
    }),
  ),
});
export type AuditList = z.output<typeof auditListSchema>;
