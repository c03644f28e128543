import { describe, expect, it } from "vitest";
import { childEnvironment } from "./child-environment.ts";

describe("childEnvironment", () => {
  it("removes the worker's settings and the machine's proxies and adds the given variables", () => {
    const own = {
      PATH: "/bin",
      ROOMCAST_WORKER_TOKEN: "s3cret",
      http_proxy: "http://proxy.example",
      HTTPS_PROXY: "http://proxy.example",
      no_proxy: "*",
    };
    expect(childEnvironment({ http_proxy: "http://gateway" }, own)).toEqual({
      PATH: "/bin",
      http_proxy: "http://gateway",
    });
    expect(childEnvironment({}, own)).toEqual({ PATH: "/bin" });
  });
});
