import { expect, it } from "vitest";
import { childEnvironment } from "./child-environment.ts";

it("ffmpeg's environment is the worker's, without its settings and the machine's proxies, with what is given", () => {
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
