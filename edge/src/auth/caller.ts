import { RoomcastError } from "@roomcast/shared";

import type { Role } from "../contracts/keyring-object.ts";
import type { AppScope } from "../model/app-scope.ts";

const RANK = { viewer: 0, operator: 1, admin: 2 } as const;

/** The authenticated sender of a call, by a Bearer credential or by a TC3 signature. */
export interface Caller {
  readonly secretId: string;
  readonly sdkAppIds: AppScope;
  readonly role: Role;
}

export function maySee(caller: Caller, sdkAppId: number): boolean {
  return caller.sdkAppIds === "*" || caller.sdkAppIds.includes(sdkAppId);
}

/** @throws RoomcastError `AuthFailure.UnauthorizedOperation` */
export function requireRole(caller: Caller, role: Role): void {
  if (RANK[caller.role] >= RANK[role]) return;
  throw new RoomcastError(
    "AuthFailure.UnauthorizedOperation",
    `This credential has the role ${caller.role}; the call needs the role ${role}.`,
  );
}

/**
 * Requires a credential for all applications, because workers carry the tasks of all applications, with their secrets.
 *
 * @throws RoomcastError `AuthFailure.UnauthorizedOperation`
 */
export function requireAllApps(caller: Caller): void {
  if (caller.sdkAppIds === "*") return;
  throw new RoomcastError(
    "AuthFailure.UnauthorizedOperation",
    "Workers carry the tasks of all applications; this credential is for some only.",
  );
}

/** @throws RoomcastError `AuthFailure.UnauthorizedOperation` */
export function requireApp(caller: Caller, sdkAppId: number): void {
  if (maySee(caller, sdkAppId)) return;
  throw new RoomcastError("AuthFailure.UnauthorizedOperation", "This credential is not for this SdkAppId.", {
    fields: [{ field: "SdkAppId", problem: "invalid", expected: "an SdkAppId that the credential is for" }],
  });
}
