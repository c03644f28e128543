import { deflateSync } from "node:zlib";
import { Api } from "tls-sig-api-v2";
import { describe, expect, it } from "vitest";
import { RoomcastError } from "./errors.ts";
import { USER_SIG_CASES, USER_SIG_SUBJECT } from "./user-sig.cases.ts";
import { checkUserSig, mintUserSig, readUserSig } from "./user-sig.ts";

const subject = USER_SIG_SUBJECT;
const tencent = new Api(subject.sdkAppId, subject.secretKey);
const nowMs = () => Date.now();

/** The result of a check, in the shape of a case's expectation. */
async function outcome(options: Parameters<typeof checkUserSig>[0]): Promise<unknown> {
  try {
    return { fields: await checkUserSig(options) };
  } catch (error) {
    return error;
  }
}

describe("UserSig", () => {
  it.each(USER_SIG_CASES.filter(({ expected }) => "fields" in expected))(
    "that is $name is taken, and its fields are read",
    async ({ options, expected }) => {
      expect(await outcome(options)).toEqual(expected);
    },
  );

  it.each(USER_SIG_CASES.flatMap(({ expected, ...rest }) => ("code" in expected ? [{ ...rest, ...expected }] : [])))(
    "that is $name is refused: $code",
    async ({ options, code, says }) => {
      const told = await outcome(options);
      expect(told).toBeInstanceOf(RoomcastError);
      expect(told).toMatchObject({ code, message: expect.stringContaining(says) });
    },
  );

  it.each(USER_SIG_CASES.filter(({ options }) => options.userSig.length > 16))(
    "that is $name is never repeated in an error",
    async ({ options }) => {
      const told = await outcome(options);
      expect(String(told)).not.toContain(options.userSig.slice(0, 16));
      expect(String(told)).not.toContain(subject.secretKey);
    },
  );

  it("that was found genuine before is still refused for another user, with another key, and when it has expired", async () => {
    const userSig = tencent.genUserSig(subject.userId, 600);
    const right = { ...subject, userSig, nowMs: nowMs() };
    const first = await checkUserSig(right);
    await expect(checkUserSig(right)).resolves.toEqual(first);
    await expect(checkUserSig({ ...right, userId: "other" })).rejects.toMatchObject({
      code: "AuthFailure.InvalidUserSig",
    });
    await expect(checkUserSig({ ...right, secretKey: `${subject.secretKey}0` })).rejects.toMatchObject({
      message: expect.stringContaining("signature does not match"),
    });
    await expect(checkUserSig({ ...right, nowMs: nowMs() + 601_000 })).rejects.toMatchObject({
      code: "AuthFailure.UserSigExpired",
    });
  });

  it("of Tencent's own generator is verified", async () => {
    const userSig = tencent.genUserSig(subject.userId, 600);
    await expect(checkUserSig({ ...subject, userSig, nowMs: nowMs() })).resolves.toMatchObject({ lifetimeS: 600 });
  });

  it.each<[string, string]>([
    ["an integer room", tencent.genPrivateMapKey(subject.userId, 600, 42, 255)],
    ["a string room", tencent.genPrivateMapKeyWithStringRoomID(subject.userId, 600, "class_1", 255)],
    ["any other user buffer", tencent.genSig(subject.userId, 600, "anything")],
  ])("of Tencent's own generator that carries %s is verified", async (_what, userSig) => {
    const fields = await checkUserSig({ ...subject, userSig, nowMs: nowMs() });
    expect(fields.userBuffer).toMatch(/^[A-Za-z0-9+/]+=*$/);
  });

  it("of ours is what Tencent's generator makes in the same second", async () => {
    const theirs = await readUserSig(tencent.genUserSig(subject.userId, 600));
    const ours = await mintUserSig({ ...subject, lifetimeS: 600, nowMs: theirs.issuedAtS * 1000 + 999 });
    expect(ours).toMatch(/^[A-Za-z0-9*_-]+$/);
    await expect(readUserSig(ours)).resolves.toEqual(theirs);
  });

  it.each(["教师", "a b", "x".repeat(1000)])("carries the UserId %j as Tencent's does", async (userId) => {
    const theirs = await readUserSig(tencent.genUserSig(userId, 600));
    const ours = await mintUserSig({ ...subject, userId, lifetimeS: 600, nowMs: theirs.issuedAtS * 1000 });
    await expect(readUserSig(ours)).resolves.toEqual(theirs);
  });

  it("with any one bit flipped is refused", async () => {
    const bytes = Buffer.from(tencent.genUserSig(subject.userId, 600));
    const flips = Array.from(bytes, (byte, index) => {
      const flipped = Buffer.from(bytes);
      flipped[index] = byte ^ (1 << (index % 7));
      return flipped.toString("latin1");
    });
    const outcomes = await Promise.all(flips.map((userSig) => outcome({ ...subject, userSig, nowMs: nowMs() })));
    // Bits that base64 does not use (before its padding) may differ and mean the same bytes.
    const passed = outcomes.filter((result) => !(result instanceof RoomcastError));
    expect(passed.length).toBeLessThanOrEqual(2);
    expect(passed).toEqual(passed.map(() => ({ fields: expect.objectContaining({ lifetimeS: 600 }) })));
  });

  const whole = tencent.genUserSig(subject.userId, 600);
  it.each<[string, string, string]>([
    ["double quotes", `"${whole}"`, "quotation marks"],
    ["single quotes", `'${whole}'`, "quotation marks"],
    ["an opening quote only", `"${whole}`, "quotation marks"],
    ["typographic quotes", `\u201c${whole}\u201d`, "quotation marks"],
    ["quotes and a line end", `"${whole}"\n`, "quotation marks"],
    ["a line end", `${whole}\n`, "a line end"],
    ["a line end of Windows", `${whole}\r\n`, "a line end"],
    ["a line end in the middle", `${whole.slice(0, 76)}\n${whole.slice(76)}`, "a line end"],
    ["a line end that was escaped", `${whole}\\n`, "a line end"],
    ["a blank before it", ` ${whole}`, "blanks"],
    ["a tab after it", `${whole}\t`, "blanks"],
    ["a space of no width", `${whole}\u200b`, "blanks"],
    // The first character is encoded too, because one UserSig in twenty has no `*`.
    ["percent-encoding", whole.replace(/^./, "%65").replaceAll("*", "%2A"), "percent-encoded"],
    [
      "the signs of standard base64",
      `${whole.replaceAll("*", "+").replaceAll("-", "/").replaceAll("_", "=")}=`,
      "standard base64",
    ],
  ])("spoiled by %s is refused, and the error says by what", async (_what, userSig, says) => {
    await expect(checkUserSig({ ...subject, userSig, nowMs: nowMs() })).rejects.toMatchObject({
      code: "AuthFailure.InvalidUserSig",
      message: expect.stringMatching(new RegExp(`^UserSig cannot be read: it .*${says}.*; expected the text`)),
    });
  });

  it("that has expired is refused with the time of its expiry", async () => {
    const userSig = await mintUserSig({ ...subject, lifetimeS: 600, nowMs: 1_700_000_000_000 });
    await expect(checkUserSig({ ...subject, userSig, nowMs: 1_800_000_000_000 })).rejects.toMatchObject({
      code: "AuthFailure.UserSigExpired",
      message: "UserSig has expired since 2023-11-14T22:23:20.000Z: make a new one for this UserId.",
    });
  });

  it("that has expired before there was a calendar is refused without a date", async () => {
    const userSig = await mintUserSig({ ...subject, lifetimeS: -9e14, nowMs: 1_700_000_000_000 });
    await expect(checkUserSig({ ...subject, userSig, nowMs: 1_800_000_000_000 })).rejects.toMatchObject({
      message: "UserSig has expired: make a new one for this UserId.",
    });
  });

  it("with something after its deflated end is refused", async () => {
    const json = JSON.stringify({
      "TLS.identifier": "u",
      "TLS.sdkappid": 1,
      "TLS.time": 1,
      "TLS.expire": 1,
      "TLS.sig": "",
    });
    const doubled = Buffer.concat([deflateSync(json), Buffer.from("more")]).toString("base64");
    await expect(readUserSig(doubled.replaceAll("+", "*").replaceAll("/", "-").replaceAll("=", "_"))).rejects.toThrow(
      "cannot be read",
    );
  });
});
