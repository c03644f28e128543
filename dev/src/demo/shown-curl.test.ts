import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { shownCurl } from "./shown-curl.ts";

const request = {
  VideoSrc: "http://127.0.0.1:1/a.mp4",
  RoomId: 1,
  UserSig: "eJw-secret",
  Redis: true,
  RedisPassword: "pw-secret",
};

describe("shownCurl", () => {
  it("contains no secret", () => {
    expect(shownCurl("http://127.0.0.1:2", request)).not.toContain("secret");
  });

  it("sends exactly the request when a shell runs it with the variables", async () => {
    const script = `curl() { printf '%s' "\${!#}"; }\n${shownCurl("http://127.0.0.1:2", request)}`;
    const { stdout } = await promisify(execFile)("bash", ["-c", script], {
      env: { USER_SIG: request.UserSig, REDIS_PASSWORD: request.RedisPassword },
    });
    expect(JSON.parse(stdout)).toEqual(request);
  });
});
