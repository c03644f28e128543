import {
  appScopeSchema,
  type CredentialList,
  type CredentialView,
  RoomcastError,
  roleSchema,
  validate,
} from "@roomcast/shared";
import { Hono } from "hono";
import { z } from "zod";
import type { Caller } from "../../auth/caller.ts";
import { type Credential, readConfig } from "../../base/config.ts";
import { forgetKeyring } from "../../caches/keyring-cache.ts";
import type { Env } from "../../contracts/env.ts";
import { KEYRING } from "../../contracts/keyring-object.ts";
import type { AppContext } from "../../http/app-context.ts";
import { readJson, readOptionalJson } from "../../http/read-json.ts";
import { covers } from "../../model/app-scope.ts";

const NOTE_EXPECTED = "a string of at most 200 characters";
const addSchema = z.strictObject(
  {
    sdkAppIds: appScopeSchema,
    role: roleSchema,
    /** A note by which the reader of the list can tell credentials apart. */
    note: z.string(NOTE_EXPECTED).max(200, NOTE_EXPECTED).default(""),
  },
  "a JSON object",
);

const MAX_OVERLAP_S = 7 * 24 * 3600;
const OVERLAP_EXPECTED = `an integer from 0 to ${MAX_OVERLAP_S}`;
const rotateSchema = z.strictObject(
  { overlapS: z.int(OVERLAP_EXPECTED).min(0, OVERLAP_EXPECTED).max(MAX_OVERLAP_S, OVERLAP_EXPECTED).default(3600) },
  "a JSON object",
);

/** `/v1/credentials`: the credentials of callers. */
export const credentialRoutes = new Hono<AppContext>()
  .get("/", async (c) => {
    const caller = c.get("caller");
    const fixed = readConfig(c.env).credentials.filter(({ sdkAppIds }) => covers(caller.sdkAppIds, sdkAppIds));
    const stored = await keyring(c.env).credentials(caller);
    return c.json({ credentials: [...fixed.map(showFixed), ...stored] } satisfies CredentialList);
  })
  .post("/", async (c) => {
    const caller = c.get("caller");
    const wanted = validate(addSchema, await readJson(c.req.raw));
    if (!covers(caller.sdkAppIds, wanted.sdkAppIds)) {
      throw new RoomcastError(
        "AuthFailure.UnauthorizedOperation",
        "A credential cannot grant access to applications that it does not cover itself.",
        { fields: [{ field: "sdkAppIds", problem: "invalid", expected: "SdkAppIds that your own credential covers" }] },
      );
    }
    const added = await keyring(c.env).addCredential(caller, wanted);
    if (added.kind === "full") throw full("credentials");
    forgetKeyring();
    return c.json(added.value, 201);
  })
  .post("/:id/rotate", async (c) => {
    const secretId = changeable(c.env, c.get("caller"), c.req.param("id"));
    const { overlapS } = validate(rotateSchema, await readOptionalJson(c.req.raw));
    const credential = await keyring(c.env).rotateCredential(c.get("caller"), secretId, overlapS * 1000);
    if (credential === null) throw notFound();
    forgetKeyring();
    return c.json(credential);
  })
  .delete("/:id", async (c) => {
    const secretId = changeable(c.env, c.get("caller"), c.req.param("id"));
    if (!(await keyring(c.env).revokeCredential(c.get("caller"), secretId))) throw notFound();
    forgetKeyring();
    return c.body(null, 204);
  });

function keyring(env: Env) {
  return env.KEYRING.getByName(KEYRING);
}

function showFixed({ secretId, role, sdkAppIds }: Credential): CredentialView {
  const apps = sdkAppIds === "*" ? "*" : [...sdkAppIds];
  return { secretId, role, sdkAppIds: apps, source: "secret", note: "", createdAt: null, createdBy: null, keys: [] };
}

/**
 * @throws RoomcastError if the credential is defined in the edge's secret: `UnsupportedOperation` for a caller that may see it,
 * and `ResourceNotFound.Credential` for others
 */
function changeable(env: Env, caller: Caller, secretId: string): string {
  const fixed = readConfig(env).credentials.find((credential) => credential.secretId === secretId);
  if (fixed === undefined) return secretId;
  if (!covers(caller.sdkAppIds, fixed.sdkAppIds)) throw notFound();
  throw new RoomcastError(
    "UnsupportedOperation",
    "This credential is defined in the edge's secret CREDENTIALS: change it there, with `wrangler secret put CREDENTIALS`.",
  );
}

function notFound(): RoomcastError {
  return new RoomcastError("ResourceNotFound.Credential", "There is no such credential, or it is not yours to change.");
}

export function full(what: string): RoomcastError {
  return new RoomcastError("LimitExceeded", `This edge cannot store any more ${what}: remove some that are not used.`);
}
