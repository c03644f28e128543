import { createExecutionContext, env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { app } from "../src/app.ts";
import { pushBody, SCHOOL } from "./fixtures.test-support.ts";

const PAGE = "https://app.example";

function send(origins: string | undefined, path: string, init: Omit<RequestInit, "headers"> = {}, headers = {}) {
  const request = new Request(`http://edge${path}`, { ...init, headers: { Origin: PAGE, ...headers } });
  const set = origins === undefined ? env : { ...env, CORS_ORIGINS: origins };
  return app.fetch(request, set, createExecutionContext());
}

/** Sends the preflight request that a browser makes before a `fetch` from another origin. */
function preflight(origins: string | undefined, path = "/", method = "POST") {
  const asked = {
    "Access-Control-Request-Method": method,
    "Access-Control-Request-Headers": "authorization,content-type",
  };
  return send(origins, path, { method: "OPTIONS" }, asked);
}

describe("CORS", () => {
  it("admits no pages of other origins by default", async () => {
    const response = await preflight(undefined);
    expect(response.status).toBe(405);
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
  });

  it.each([
    [PAGE, PAGE],
    [`https://other.example, ${PAGE}`, PAGE],
    ["*", "*"],
  ])("lets a page start, view, change and stop pushes when CORS_ORIGINS is %s", async (origins, allowed) => {
    for (const [path, method] of [
      ["/", "POST"],
      ["/v1/tasks", "GET"],
      [`/v1/tasks/${crypto.randomUUID()}`, "PATCH"],
      [`/v1/tasks/${crypto.randomUUID()}`, "DELETE"],
    ] as const) {
      const { status, headers } = await preflight(origins, path, method);
      expect(status).toBe(204);
      expect(headers.get("access-control-allow-origin")).toBe(allowed);
      expect(headers.get("access-control-allow-methods")).toContain(method);
      expect(headers.get("access-control-allow-headers")).toBe("authorization,content-type");
      expect(headers.has("access-control-allow-credentials")).toBe(false);
      expect(headers.get("vary")).toContain("Origin");
    }
  });

  it("sends no CORS headers to a page whose origin is not listed", async () => {
    for (const listed of ["https://other.example", `${PAGE}:8443`, "http://app.example"]) {
      const { headers } = await preflight(listed);
      expect(headers.has("access-control-allow-origin")).toBe(false);
    }
  });

  it("lets a page read the answer and the task's id", async () => {
    const push = { method: "POST", body: JSON.stringify(await pushBody()) };
    const response = await send(PAGE, "/", push, { Authorization: `Bearer ${SCHOOL}` });
    expect(response.status).toBe(200);
    expect(response.headers.get("access-control-allow-origin")).toBe(PAGE);
    expect(response.headers.get("access-control-expose-headers")).toContain("x-scf-reqid");
    expect(response.headers.get("x-scf-reqid")).not.toBeNull();
  });

  it.each([
    ["without a credential", "/v1/tasks", "GET"],
    ["to an unknown route", "/nowhere", "GET"],
    ["to Tencent's API", "/?Action=Nothing", "GET"],
    ["with a wrong method", "/healthz", "PUT"],
  ])("lets a page read why a call %s was refused", async (_what, path, method) => {
    const response = await send("*", path, { method });
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    expect(await response.text()).toMatch(/code/i);
  });
});
