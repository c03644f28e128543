import { type AuditList, validate } from "@roomcast/shared";
import { Hono } from "hono";
import { z } from "zod";
import { KEYRING } from "../../contracts/keyring-object.ts";
import type { AppContext } from "../../http/app-context.ts";

function wholeNumber(max: number) {
  const expected = `an integer from 1 to ${max}`;
  return z
    .string(expected)
    .regex(/^[0-9]{1,16}$/, expected)
    .transform(Number)
    .refine((number) => number >= 1 && number <= max, expected);
}

const querySchema = z.strictObject({
  limit: wholeNumber(1000).default(100),
  before: wholeNumber(Number.MAX_SAFE_INTEGER).optional(),
});

/** `GET /v1/audit`: the audit log, newest line first. */
export const auditRoutes = new Hono<AppContext>().get("/", async (c) => {
  const { limit, before } = validate(querySchema, c.req.query());
  const lines = await c.env.KEYRING.getByName(KEYRING).audit(c.get("caller"), { limit, before: before ?? null });
  return c.json({ lines } satisfies AuditList);
});
