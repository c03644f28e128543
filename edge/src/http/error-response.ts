import { RoomcastError } from "@roomcast/shared";
import type { Context } from "hono";
import { type AppContext, REQUEST_ID_HEADER } from "./app-context.ts";

/** Converts a thrown error to an HTTP answer, without its stack and cause. The plain API converts errors nowhere else. */
export function errorResponse(thrown: unknown, c: Context<AppContext>): Response {
  const error = RoomcastError.from(thrown);
  const requestId = c.get("requestId");
  if (error.code === "InternalError")
    console.error("request failed", { requestId, thrown: describe(error.cause ?? error) });
  const body = {
    code: error.code,
    message: error.message,
    requestId,
    ...(error.fields.length > 0 ? { fields: error.fields } : {}),
  };
  const headers: Record<string, string> = { [REQUEST_ID_HEADER]: requestId };
  if (error.code === "RequestLimitExceeded") headers["retry-after"] = "1";
  if (error.httpStatus === 401) headers["www-authenticate"] = "Bearer";
  return Response.json({ error: body }, { status: error.httpStatus, headers });
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : typeof thrown;
}
