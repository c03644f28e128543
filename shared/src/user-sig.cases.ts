import type { ErrorCode } from "./errors.ts";
import type { CheckUserSigOptions, UserSigFields } from "./user-sig.ts";

/**
 * Cases for `checkUserSig`. Every runtime that it must support (Node here, workerd in the edge) runs them in its own
 * tests. The genuine UserSigs were made with Tencent's generator, npm tls-sig-api-v2, at `MADE_AT_S`.
 */
export interface UserSigCase {
  readonly name: string;
  readonly options: CheckUserSigOptions;
  readonly expected: { readonly fields: UserSigFields } | { readonly code: ErrorCode; readonly says: string };
}

const MADE_AT_S = 1_700_000_000;
const LIFETIME_S = 86_400;

/** The application and user of the cases; the key is made up. */
export const USER_SIG_SUBJECT = {
  sdkAppId: 1_400_000_001,
  userId: "teacher-1",
  secretKey: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
} as const;

const GENUINE =
  "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwiWpickZqUW6hlDJ4pTsxIKCzBQlK0MTAwgwhMiUZOamKlkZmkNFDSCiqRUFmUWpSlYWZiYwoeLMdCUrpYi8gOxwg8gyr9C0tJIKk*CIqGyfihSnTG2LQMv8bGP3nFI-H2OLUMfS9FBbpVoAZGoyBA__";
const WITH_USER_BUFFER =
  "eJw1zMsOgjAUBNB-uVsVKVbRJiwIGxMkJmJA3VG4xapoLQ*Nxn834TG7OZPMF-ab0GhQAwPLMGHcdpnhvZJCtlxhkp5RT0g-ltk1UUpmwAg1u5BuqWSBwIjdq9kpvpXUCGy5oAPVJWpeC2CQFquGh64Z5I4z-MscGOBBCz9YUx7v5kebP9Tt2SjXGkX*lJ8*nnd50Qjd7SwWuQO-P3L-Oq0_";

const FIELDS: UserSigFields = {
  userId: USER_SIG_SUBJECT.userId,
  sdkAppId: USER_SIG_SUBJECT.sdkAppId,
  issuedAtS: MADE_AT_S,
  lifetimeS: LIFETIME_S,
  signature: "XnPkW0YvJUfftx4SXZkLxdBi+8Q9ok3GluNL38UAugU=",
};

const right: CheckUserSigOptions = { ...USER_SIG_SUBJECT, userSig: GENUINE, nowMs: MADE_AT_S * 1000 };
const { secretKey: _secretKey, ...withoutKey } = right;

const unreadable = { code: "AuthFailure.InvalidUserSig", says: "cannot be read" } as const;
const unlike = (says: string) => ({ code: "AuthFailure.InvalidUserSig", says }) as const;
const expired = { code: "AuthFailure.UserSigExpired", says: "has expired" } as const;

/** Texts that cannot be read, with or without a key. */
const UNREADABLE: readonly (readonly [name: string, userSig: string])[] = [
  ["empty", ""],
  ["garbage", "garbage"],
  ["no base64", "%%%%"],
  ["too long", "A".repeat(4097)],
  ["cut in the middle", GENUINE.slice(0, 120)],
  ["cut at the front", GENUINE.slice(4)],
  ["with a changed character in its deflated part", GENUINE.replace("pickZq", "pickZr")],
  ["in plain base64", GENUINE.replaceAll("*", "+").replaceAll("-", "/").replaceAll("_", "=")],
  ["with a line end", `${GENUINE}\n`],
  [
    "JSON that was not deflated",
    "eyJUTFMudmVyIjoiMi4wIiwiVExTLmlkZW50aWZpZXIiOiJ0ZWFjaGVyLTEiLCJUTFMuc2RrYXBwaWQiOjE0MDAwMDAwMDF9",
  ],
  [
    "compressed with gzip",
    "H4sIAAAAAAAAA6tWCvEJ1itLLVKyUjLSM1DSAfMzU1LzSjLTMsHCJamJyRmpRbqGUMnilOzEgoLMFCUrQxMDCDCEyJRk5qYqWRmaQ0UNIKKpFQWZRalKVhZmJjCh4sx0JSuliLyA7HCDyDKv0LS0kgqT4IiobJ*KFKdMbYtAy-xsY-ecUj8fY4tQx9L0UFulWgBeoygrqgAAAA__",
  ],
  ["a list", "eJyLjgUAARUAuQ__"],
  ["null", "eJzLK83JAQAEXwG8"],
  ["2 MB of zeros once inflated", `eNrtwQEBAAAAgiD-r25IQAE${"A".repeat(2582)}G8GhkIAAQ__`],
  [
    "without a signature",
    "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwiWpickZqUW6hlDJ4pTsxIKCzBQlK0MTAwgwhMiUZOamKlkZmkNFDSCiqRUFmUWpSlYWZiYGBrUASkYf4g__",
  ],
  [
    "with a time of 1e9 as text",
    "eJwti8EKwjAQRP9lr2pJbJA04EEvggRRarB6K2Zbl2gNNS0B8d*FtnN782a*cNZ50mMLCpYJg-nAZLEJVNFQByzvD2wXfJIf60rvyYLigo3hown0QlDAMZumGD21CEquBGPTm2pQUDRHd2HXfm*qKkSRFzeno93STJ6yt0t3z*6gU2k2XW3W8PsDpDMxLw__",
  ],
  [
    "with a fraction of a second",
    "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwiWpickZqUW6hlDJ4pTsxIKCzBQlK0MTAwgwhMiUZOamKlkZ6plCuKkVBZlFqUpWFmYmBgZQvZnpSlZKEXkB2eEGkWVeoWlpJRUmwRFR2T4VKU6Z2haBlvnZxu45pX4*xhahjqXpobZKtQBLrTCw",
  ],
  [
    "with a user buffer that is a number",
    "eJw1zc0KgkAUBeB3udtKZlLSBlrUJgiJwiRrZ80du0yZzI8I0bsHamd3vrM4HzilWdCiAQHzgMG07ySxdqSoZ4fl-YFmxsfRSl02DUkQPGJD*LA4eiEIHo-KBsWuIYMgkkX0J0sVCCjqgz6zS7vLlXJdlBVXnXZyQ5PkuHzrcPv0*zRM8rWv8tX47S2am1cg4u8PqzY3Ag__",
  ],
];

export const USER_SIG_CASES: readonly UserSigCase[] = [
  { name: "genuine", options: right, expected: { fields: FIELDS } },
  { name: "genuine, where the SecretKey is not known", options: withoutKey, expected: { fields: FIELDS } },
  {
    name: "genuine, with a user buffer",
    options: { ...right, userSig: WITH_USER_BUFFER },
    expected: {
      fields: { ...FIELDS, signature: "eXrfKMH4bWR5Y7boplqvpA2+VK/bZzCCjw4VeAO3Wfg=", userBuffer: "cm9vbSA0Mg==" },
    },
  },
  {
    name: "genuine, with its numbers written as texts",
    options: {
      ...right,
      userSig:
        "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwiWpickZqUW6hlDJ4pTsxIKCzBQlKyVDEwMIgMmVZOamgsTNoeIwA1MrCjKLQDIWZiZwweLMdCUrpYi8gOxwg8gyr9C0tJIKk*CIqGyfihSnTG2LQMv8bGP3nFI-H2OLUMfS9FBbpVoAQB8y0A__",
    },
    expected: { fields: FIELDS },
  },
  {
    name: "in its last millisecond",
    options: { ...right, nowMs: (MADE_AT_S + LIFETIME_S) * 1000 - 1 },
    expected: { fields: FIELDS },
  },
  { name: "just expired", options: { ...right, nowMs: (MADE_AT_S + LIFETIME_S) * 1000 }, expected: expired },
  {
    name: "made a day ahead of our clock",
    options: { ...right, nowMs: (MADE_AT_S - 86_400) * 1000 },
    expected: { fields: FIELDS },
  },
  {
    name: "made more than a day ahead of our clock",
    options: { ...right, nowMs: (MADE_AT_S - 86_401) * 1000 },
    expected: unlike("still to come"),
  },
  { name: "of another user", options: { ...right, userId: "teacher-2" }, expected: unlike("another UserId") },
  { name: "of another application", options: { ...right, sdkAppId: 1 }, expected: unlike("another SdkAppId") },
  {
    name: "signed with another SecretKey",
    options: { ...right, secretKey: "another" },
    expected: unlike("signature does not match"),
  },
  {
    name: "genuine but with its lifetime raised",
    options: {
      ...right,
      userSig:
        "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwiWpickZqUW6hlDJ4pTsxIKCzBQlK0MTAwgwhMiUZOamKlkZmkNFDSCiqRUFmUWpSlYWZiZwseLMdCUrpYi8gOxwg8gyr9C0tJIKk*CIqGyfihSnTG2LQMv8bGP3nFI-H2OLUMfS9FBbpVoAjt8yNA__",
    },
    expected: unlike("signature does not match"),
  },
  {
    name: "with a signature of three bytes",
    options: {
      ...right,
      userSig:
        "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwiWpickZqUW6hlDJ4pTsxIKCzBQlK0MTAwgwhMiUZOamKlkZmkNFDSCiqRUFmUWpSlYWZiYwoeLMdCUrpcBQLxelWgCNqyRo",
    },
    expected: unlike("signature does not match"),
  },
  {
    name: "with a signature that is no base64",
    options: {
      ...right,
      userSig:
        "eJw1yVEKQEAUheG9nJo3NCOhuwZvbEDm4iaaxiQle1eG83a*-0LXtNnBHoQ800jeL5a3IKO8HLgfZvap*eJul945sSBT6DgTS5CVQab6VEfl04lnUF0WP*0ygaCUwv0AZ08jow__",
    },
    expected: unlike("signature cannot be read"),
  },
  ...UNREADABLE.map(([name, userSig]) => ({ name, options: { ...right, userSig }, expected: unreadable })),
];
