import { RoomcastError } from "@roomcast/shared";
import { createMiddleware } from "hono/factory";
import { findCredential } from "../../auth/find-credential.ts";
import type { AppContext } from "../../http/app-context.ts";
import { bearerCaller } from "./bearer.ts";

/** Authenticates the caller by the scheme of the Authorization header. */
export const authenticate = createMiddleware<AppContext>(async (c, next) => {
  const [scheme, rest] = splitOnce(c.req.header("Authorization")?.trim() ?? "", " ");
  if (scheme.toLowerCase() !== "bearer") {
    throw new RoomcastError(
      "AuthFailure.InvalidAuthorization",
      "The Authorization header is missing or of an unknown scheme: expected `Bearer <SecretId>.<SecretKey>`.",
    );
  }
  c.set("caller", await bearerCaller(rest.trim(), (secretId) => findCredential(c.env, secretId)));
  await next();
});

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
