import { env } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { forgetKeyring } from "../src/caches/keyring-cache.ts";
import type { Env } from "../src/contracts/env.ts";
import { ROOT } from "../src/contracts/root-registry.ts";
import { createPush } from "../src/operations/create-push.ts";
import { APP, fresh, pushBody } from "./fixtures.test-support.ts";

const bound: Env = env;
const CALLER = { secretId: "school", sdkAppIds: [APP], role: "operator" } as const;

afterEach(() => {
  vi.restoreAllMocks();
  forgetKeyring();
});

describe("createPush with an Idempotency-Key", () => {
  it("returns the first task for the same request from another place, though another region is nearer", async () => {
    const registry = bound.DIRECTORY.getByName(ROOT);
    for (const region of ["sa-saopaulo", "eu-moscow"]) await registry.know("region", region);
    const input = await pushBody();
    const idempotencyKey = fresh("key");
    const from = (latitude: string, longitude: string) =>
      createPush(bound, {
        input,
        caller: CALLER,
        idempotencyKey,
        regionHeader: undefined,
        cf: { latitude, longitude },
      });
    const first = await from("-23.5", "-46.6");
    expect((await from("55.7", "37.6")).taskId).toBe(first.taskId);
  });

  it("refuses the same request with another X-TC-Region", async () => {
    const input = await pushBody();
    const idempotencyKey = fresh("key");
    const inRegion = (regionHeader: string) =>
      createPush(bound, { input, caller: CALLER, idempotencyKey, regionHeader });
    await inRegion("ap-one");
    await expect(inRegion("ap-two")).rejects.toMatchObject({ code: "ResourceInUse.IdempotencyKey" });
  });
});

describe("createPush while the Keyring does not answer", () => {
  function withKeyring(snapshot: () => Promise<never>): Env {
    // SAFETY: a create asks the Keyring for its snapshot only.
    return { ...bound, KEYRING: { getByName: () => ({ snapshot }) } } as unknown as Env;
  }

  it.each([
    ["fails", () => Promise.reject(new Error("away"))],
    ["is silent", () => new Promise<never>(() => undefined)],
  ])("accepts a push when it %s and nothing was known of it before", async (_what, snapshot) => {
    vi.spyOn(console, "warn").mockReturnValue();
    forgetKeyring();
    const input = await pushBody();
    const options = { input, caller: CALLER, idempotencyKey: undefined, regionHeader: fresh("ap") };
    const created = await createPush(withKeyring(snapshot), options);
    expect(created.taskId).toMatch(/^[0-9a-f-]{36}$/);
  });
});
