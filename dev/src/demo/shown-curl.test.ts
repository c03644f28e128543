import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { shownCurl } from "./shown-curl.ts";

const request = {
  VideoSrc: "http://127.0.0.1:1/a.mp4",
  RoomId: 1,
  UserSig: "eJw-secret",
  Redis: true,
  RedisPassword: "pw-secret",
};

test("the shown call holds no secret", () => {
  expect(shownCurl("http://127.0.0.1:2", request)).not.toContain("secret");
});

test("a shell that knows the variables sends exactly the request", async () => {
  const script = `curl() { printf '%s' "\${!#}"; }\n${shownCurl("http://127.0.0.1:2", request)}`;
  const { stdout } = await promisify(execFile)("bash", ["-c", script], {
    env: { USER_SIG: request.UserSig, REDIS_PASSWORD: request.RedisPassword },
  });
  expect(JSON.parse(stdout)).toEqual(request);
});
