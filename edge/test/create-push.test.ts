import { env } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { forgetKeyring } from "../src/caches/keyring-cache.ts";
import type { Env } from "../src/contracts/env.ts";
import { createPush } from "../src/operations/create-push.ts";
import { APP, fresh, knowRegion, pushBody, view } from "./fixtures.test-support.ts";

const bound: Env = env;
const CALLER = { secretId: "school", sdkAppIds: [APP], role: "operator" } as const;

afterEach(() => {
  vi.restoreAllMocks();
  forgetKeyring();
});

describe("createPush", () => {
  describe("with an Idempotency-Key", () => {
    it("returns the first task for the same request from another place, even if another region is nearer there", async () => {
      const input = await pushBody();
      const from = (idempotencyKey: string | undefined, [latitude, longitude]: readonly [string, string]) =>
        createPush(bound, {
          input,
          caller: CALLER,
          idempotencyKey,
          regionHeader: undefined,
          cf: { latitude, longitude },
        });
      for (const region of ["sa-saopaulo", "eu-moscow"]) await knowRegion(region);
      const [saoPaulo, moscow] = [
        ["-23.5", "-46.6"],
        ["55.7", "37.6"],
      ] as const;
      const idempotencyKey = fresh("key");
      const first = await from(idempotencyKey, saoPaulo);
      expect((await from(idempotencyKey, moscow)).taskId).toBe(first.taskId);
      const other = await from(undefined, moscow);
      const views = await Promise.all([first, other].map(({ taskId }) => view(taskId)));
      expect(views.map(({ region }) => region)).toEqual(["sa-saopaulo", "eu-moscow"]);
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

  describe("while the Keyring does not answer", () => {
    function withKeyring(snapshot: () => Promise<never>): Env {
      // SAFETY: a create reads only the snapshot of the Keyring.
      return { ...bound, KEYRING: { getByName: () => ({ snapshot }) } } as unknown as Env;
    }

    it.each([
      ["fails", () => Promise.reject(new Error("away"))],
      ["never answers", () => new Promise<never>(() => undefined)],
    ])("accepts a push when the Keyring %s and no snapshot is cached", async (_what, snapshot) => {
      vi.spyOn(console, "warn").mockReturnValue();
      forgetKeyring();
      const input = await pushBody();
      const options = { input, caller: CALLER, idempotencyKey: undefined, regionHeader: fresh("ap") };
      const created = await createPush(withKeyring(snapshot), options);
      expect(created.taskId).toMatch(/^[0-9a-f-]{36}$/);
    });
  });
});
