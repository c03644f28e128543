import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { forgetHealth, healthOf } from "../src/doors/plain/health-routes.ts";
import { Directory } from "../src/objects/directory/directory.ts";
import { call } from "./fixtures.test-support.ts";

beforeEach(forgetHealth);

afterEach(() => {
  vi.restoreAllMocks();
  forgetHealth();
});

async function ask(path: string): Promise<[status: number, body: unknown]> {
  const response = await call(path, { as: null });
  return [response.status, await response.json()];
}

describe("Health routes", () => {
  it.each(["/livez", "/healthz", "/readyz"])("%s answers ok when the edge can write", async (path) => {
    expect(await ask(path)).toEqual([200, { status: "ok" }]);
  });

  it.each([
    ["full", "Error: database or disk is full: SQLITE_FULL"],
    ["failing", "Error: internal error; reference = x"],
  ])("report %s storage as unavailable, except /livez", async (storage, message) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    vi.spyOn(Directory.prototype, "writes").mockRejectedValue(new Error(message));
    const unavailable = { status: "unavailable", storage, remedy: expect.any(String) };
    expect(await ask("/healthz")).toEqual([503, unavailable]);
    expect(await ask("/readyz")).toEqual([503, unavailable]);
    expect(await ask("/livez")).toEqual([200, { status: "ok" }]);
  });

  it("do not write more often when they are requested often", async () => {
    const writes = vi.spyOn(Directory.prototype, "writes");
    for (let times = 0; times < 20; times += 1) await ask("/healthz");
    expect(writes.mock.calls.length).toBeLessThanOrEqual(2);
  });

  it.each([
    ["ENOSPC: no space left on device, write", "full"],
    ["Exceeded the allowed storage of this object", "full"],
    ["Network connection lost.", "failing"],
  ])("read the failed write %j as %s storage", (message, health) => {
    expect(healthOf(new Error(message))).toBe(health);
  });
});
