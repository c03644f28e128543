import { checkUserSig, mintUserSig, readUserSig } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { USER_SIG_CASES, USER_SIG_SUBJECT } from "../../shared/src/user-sig.cases.ts";
import { inflate } from "../src/base/inflate.ts";

describe("UserSig in workerd", () => {
  it.each(USER_SIG_CASES.flatMap(({ expected, ...rest }) => ("fields" in expected ? [{ ...rest, ...expected }] : [])))(
    "is accepted as in Node when it is $name",
    async ({ options, fields }) => {
      expect(await checkUserSig(options)).toEqual(fields);
    },
  );

  it.each(USER_SIG_CASES.flatMap(({ expected, ...rest }) => ("code" in expected ? [{ ...rest, ...expected }] : [])))(
    "is refused with $code as in Node when it is $name",
    async ({ options, code, says }) => {
      await expect(checkUserSig(options)).rejects.toMatchObject({ code, message: expect.stringContaining(says) });
    },
  );

  it.each(USER_SIG_CASES)(
    "gives the same result with and without a stream for inflation when it is $name",
    async ({ options }) => {
      const outcome = (given: Parameters<typeof checkUserSig>[0]) => checkUserSig(given).catch(String);
      expect(await outcome({ ...options, inflate })).toEqual(await outcome(options));
    },
  );

  it("is minted so that it can be read and verified", async () => {
    const nowMs = 1_700_000_000_000;
    const userSig = await mintUserSig({ ...USER_SIG_SUBJECT, lifetimeS: 600, nowMs });
    const fields = await checkUserSig({ ...USER_SIG_SUBJECT, userSig, nowMs });
    expect(fields).toEqual(await readUserSig(userSig));
    expect(fields).toMatchObject({ issuedAtS: 1_700_000_000, lifetimeS: 600 });
  });
});
