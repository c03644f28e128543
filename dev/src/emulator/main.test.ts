import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
const PORTS = ["--rtmp-port", "0", "--http-port", "0"];

let child: ChildProcess | undefined;
afterEach(() => {
  child?.kill("SIGKILL");
});

function start(args: string[], env: NodeJS.ProcessEnv = {}) {
  const started = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child = started;
  return started;
}

describe("The emulator's command line", () => {
  it("prints its addresses once it is ready, and ends cleanly on Ctrl-C", async () => {
    const started = start([...PORTS, "--json"], { ROOMCAST_EMULATOR_APPS: "1:key" });
    const exited = once(started, "exit");
    const [line] = await once(createInterface(started.stdout), "line");
    const { rtmpUrl, httpUrl } = JSON.parse(line);
    expect(rtmpUrl).toMatch(/^rtmp:\/\/127\.0\.0\.1:\d+\/push$/);
    expect(await (await fetch(`${httpUrl}/healthz`)).json()).toEqual({ ok: true, emulator: true });
    started.kill("SIGINT");
    expect(await exited).toEqual([0, null]);
  });

  it.each<[string, string[], NodeJS.ProcessEnv, string]>([
    ["applications", PORTS, {}, "ROOMCAST_EMULATOR_APPS is missing"],
    ["a port", ["--rtmp-port", "x"], { ROOMCAST_EMULATOR_APPS: "1:key" }, "--rtmp-port: expected a port"],
    ["a TLS key", [...PORTS, "--rtmps-port", "0"], { ROOMCAST_EMULATOR_APPS: "1:key" }, "--rtmps-port needs"],
    ["a known option", ["--port", "1"], {}, "Unknown option '--port'"],
  ])("reports in one line what is missing without %s", async (_what, args, env, message) => {
    const started = start(args, env);
    const [[code], complaint] = await Promise.all([once(started, "exit"), text(started.stderr)]);
    expect(code).toBe(1);
    expect(complaint).toContain(message);
    expect(complaint).not.toContain("    at ");
  });

  it("prints its help for --help", async () => {
    expect(await text(start(["--help"]).stdout)).toContain("ROOMCAST_EMULATOR_APPS");
  });
});
