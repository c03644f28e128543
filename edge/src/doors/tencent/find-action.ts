import { RoomcastError } from "@roomcast/shared";
import type { TencentAction } from "./call/tencent-action.ts";
import { SCF_ACTIONS } from "./scf/scf-actions.ts";
import type { TencentService } from "./tencent-error.ts";
import { TRTC_ACTIONS } from "./trtc/trtc-actions.ts";

interface Service {
  readonly name: TencentService;
  readonly version: string;
  readonly actions: Readonly<Record<string, TencentAction>>;
}

const SERVICES: readonly Service[] = [
  { name: "scf", version: "2018-04-16", actions: SCF_ACTIONS },
  { name: "trtc", version: "2019-07-22", actions: TRTC_ACTIONS },
];

export interface Wanted {
  readonly action: string;
  readonly version: string | undefined;
  /**
   * The service of the credential scope. SDKs take it from the endpoint, so it may be any word. If it is the name of a service
   * here, it must fit the version.
   */
  readonly service: string;
}

/** Finds the action that a call names. The version determines the service.
 *
 * @throws RoomcastError `MissingParameter`, `NoSuchVersion` or `InvalidAction`.
 */
export function findAction({ action, version, service }: Wanted): { service: TencentService; run: TencentAction } {
  if (version === undefined) {
    const expected = SERVICES.map((each) => `${each.version} (${each.name})`).join(" or ");
    throw new RoomcastError("MissingParameter", `X-TC-Version is missing: expected ${expected}.`, {
      fields: [{ field: "X-TC-Version", problem: "missing", expected }],
    });
  }
  const named = SERVICES.find(({ name }) => name === service);
  const found = SERVICES.find((each) => each.version === version);
  if (found === undefined || (named !== undefined && named !== found)) {
    const expected = (named === undefined ? SERVICES : [named]).map((each) => `${each.version} of ${each.name}`);
    throw new RoomcastError("NoSuchVersion", `There is no such version here: expected ${expected.join(" or ")}.`);
  }
  const run = Object.hasOwn(found.actions, action) ? found.actions[action] : undefined;
  if (run === undefined) {
    const expected = Object.keys(found.actions).join(", ");
    throw new RoomcastError(
      "InvalidAction",
      `There is no such action in ${found.name} ${version}: expected ${expected}.`,
    );
  }
  return { service: found.name, run };
}
