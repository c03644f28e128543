import { z } from "zod";

/** ISO 8601, UTC, milliseconds. */
const time = z.iso.datetime();

const APPS_EXPECTED = 'a list of 1 to 50 SdkAppIds, or "*"';
const sdkAppId = z.int(APPS_EXPECTED).min(1, APPS_EXPECTED).max(4_294_967_295, APPS_EXPECTED);

/** The applications that a credential may see and touch; `"*"`: all. */
export const appScopeSchema = z.union(
  [z.literal("*"), z.array(sdkAppId, APPS_EXPECTED).min(1, APPS_EXPECTED).max(50, APPS_EXPECTED)],
  APPS_EXPECTED,
);

export const roleSchema = z.enum(["viewer", "operator", "admin"], '"viewer", "operator" or "admin"');

const credentialSchema = z.object({
  secretId: z.string(),
  role: roleSchema,
  sdkAppIds: appScopeSchema,
  /** `secret`: of the edge's secret CREDENTIALS, changed by deploying only. */
  source: z.enum(["secret", "keyring"]),
  note: z.string(),
  /** null: not known, it is of the secret CREDENTIALS. */
  createdAt: time.nullable(),
  createdBy: z.string().nullable(),
  /** Its SecretKeys, the newest first; `validUntil` null: until it is rotated or revoked. Never the keys themselves. */
  keys: z.array(z.object({ since: time, validUntil: time.nullable() })),
});
export type CredentialView = z.output<typeof credentialSchema>;

/** What `GET /v1/credentials` answers. */
export const credentialListSchema = z.object({ credentials: z.array(credentialSchema) });
export type CredentialList = z.output<typeof credentialListSchema>;

/** What making and rotating a credential answers: the only time that its SecretKey is shown. */
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

/** What `GET /v1/worker-tokens` answers: tokens that were minted here and hold, and the workers that were revoked. */
export const workerTokenListSchema = z.object({
  tokens: z.array(workerTokenSchema),
  revoked: z.array(z.object({ workerId: z.string(), revokedAt: time })),
});
export type WorkerTokenList = z.output<typeof workerTokenListSchema>;

/** What minting a worker token answers: the only time that it is shown. */
export const newWorkerTokenSchema = workerTokenSchema.extend({ token: z.string() });
export type NewWorkerToken = z.output<typeof newWorkerTokenSchema>;

/** What `GET /v1/callbacks/:sdkAppId` answers. Of the URL its origin is shown; the key never is. */
export const callbackViewSchema = z.object({
  SdkAppId: z.int(),
  Url: z.string(),
  Events: z.enum(["trtc", "all"]),
  changedAt: time,
  changedBy: z.string(),
});
export type CallbackView = z.output<typeof callbackViewSchema>;

/** What `GET /v1/audit` answers: newest first. */
export const auditListSchema = z.object({
  lines: z.array(
    z.object({
      /** Grows with each line; `before` in the query takes it to read on. */
      seq: z.int(),
      at: time,
      /** The SecretId of who did it. */
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
