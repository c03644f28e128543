import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { encodeFrame, mintWorkerToken, PROTOCOL_VERSION } from "@roomcast/shared";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { WebSocketServer } from "ws";
import { WELCOME } from "./link/fleet-door.test-support.ts";

// Each starts a process or more, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
let token: string;
const cleanUps: (() => unknown)[] = [];

beforeAll(async () => {
  token = await mintWorkerToken({ workerId: "gz-1", regions: ["ap-guangzhou"], key: "k".repeat(32), lifetimeS: 600 });
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

function settings(env: Record<string, string> = {}): NodeJS.ProcessEnv {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("ROOMCAST_")));
  return { ...inherited, ROOMCAST_EDGE_URL: "ws://127.0.0.1:9", ROOMCAST_WORKER_TOKEN: token, ...env };
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [MAIN, ...args], { env }, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

/** A worker that runs, and the edge that it dials. */
async function startWorker(onHello: string) {
  const edge = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  cleanUps.push(() => edge.close());
  edge.on("connection", (socket) => socket.once("message", () => socket.send(onHello)));
  await once(edge, "listening");
  // SAFETY: a TCP server that listens has an AddressInfo.
  const { port } = edge.address() as AddressInfo;
  const child = spawn(process.execPath, [MAIN], {
    env: settings({ ROOMCAST_EDGE_URL: `ws://127.0.0.1:${port}` }),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  cleanUps.push(() => child.kill("SIGKILL"));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const output: string[] = [];
  const says = async (message: string): Promise<void> => {
    for (;;) {
      const { done, value } = await lines.next();
      if (done === true) throw new Error(`it never said "${message}", but: ${output.join("\n")}`);
      output.push(value);
      if (value.includes(message)) return;
    }
  };
  return { child, says, output, exitCode: async (): Promise<unknown> => (await exited)[0] };
}

describe("the command line", () => {
  test("--help names every setting, --version the version; neither needs settings", async () => {
    const [help, version] = await Promise.all([run(["--help"], {}), run(["--version"], {})]);
    expect([help.code, version.code]).toEqual([0, 0]);
    expect(help.stdout).toContain("ROOMCAST_EDGE_URL");
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test("--check says what it found, without the token", async () => {
    const { code, stdout, stderr } = await run(["--check"], settings());
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/worker gz-1 in ap-guangzhou, \d+ units[^]*ffmpeg \S+ \([^]*ffprobe \S+ \(/);
    expect(stdout).not.toContain(token);
  });

  test("wrong settings and a missing ffmpeg are told together; the exit code is 2", async () => {
    const env = settings({ ROOMCAST_CAPACITY_UNITS: "lots", ROOMCAST_TYPO: "1", FFMPEG_PATH: "/nowhere/ffmpeg" });
    const { code, stderr } = await run([], env);
    expect(code).toBe(2);
    for (const part of ["ROOMCAST_CAPACITY_UNITS is invalid", "ROOMCAST_TYPO is not a known", "/nowhere/ffmpeg"]) {
      expect(stderr).toContain(part);
    }
    expect(stderr).not.toContain("    at ");
  });

  test("an unknown option is an error", async () => {
    expect((await run(["--chekc"], settings())).code).toBe(2);
  });
});

describe("the process", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("%s ends it tidily, with exit code 0", async (signal) => {
    const worker = await startWorker(encodeFrame(WELCOME));
    await worker.says("connected to the edge");
    worker.child.kill(signal);
    await worker.says('"exitCode":0');
    expect(await worker.exitCode()).toBe(0);
    expect(worker.output.join("\n")).not.toContain(token);
  });

  test("an edge of another protocol ends it with exit code 1 and a clear word", async () => {
    const worker = await startWorker(encodeFrame({ ...WELCOME, protocol: PROTOCOL_VERSION + 1 }));
    await worker.says("another protocol version");
    expect(await worker.exitCode()).toBe(1);
  });
});
