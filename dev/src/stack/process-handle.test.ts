import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { startProcess } from "./process-handle.ts";

/** A program that prints the port it listens on. The port shows from outside whether it runs, also before it is reaped. */
const LISTENER = `
  const server = require("node:net").createServer().listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

/** A program that starts the listener as a child and then waits. */
const PARENT_OF_LISTENER = `
  require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(LISTENER)}], { stdio: "inherit" });
  setInterval(() => {}, 1000);
`;

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function startParentOfListener() {
  const port = Promise.withResolvers<number>();
  const handle = await startProcess({
    name: "parent",
    command: process.execPath,
    args: ["-e", PARENT_OF_LISTENER],
    env: process.env,
    onLine: (line) => port.resolve(Number(line)),
  });
  return { handle, port: await handle.untilReady(port.promise, 10_000) };
}

describe("ProcessHandle", () => {
  it("ends the process and its children on stop()", async () => {
    const { handle, port } = await startParentOfListener();
    expect(await isListening(port)).toBe(true);
    await Promise.all([handle.stop(), handle.stop()]);
    expect(handle.exit).toEqual({ code: null, signal: "SIGTERM" });
    await vi.waitFor(async () => expect(await isListening(port)).toBe(false));
  });

  it("ends the children of a process that crashes", async () => {
    const { handle, port } = await startParentOfListener();
    expect(await isListening(port)).toBe(true);
    handle.signal("SIGKILL");
    await handle.exited;
    await vi.waitFor(async () => expect(await isListening(port)).toBe(false));
  });

  it("kills a process that ignores SIGTERM", async () => {
    const ready = Promise.withResolvers<void>();
    const handle = await startProcess({
      name: "stubborn",
      command: process.execPath,
      args: ["-e", 'process.on("SIGTERM", () => {}); console.log("ready"); setInterval(() => {}, 1000)'],
      env: process.env,
      stopTimeoutMs: 50,
      onLine: () => ready.resolve(),
    });
    await handle.untilReady(ready.promise, 10_000);
    await handle.stop();
    expect(handle.exit?.signal).toBe("SIGKILL");
  });

  it("throws an error with the last output when the process ends before it is ready", async () => {
    const handle = await startProcess({
      name: "broken",
      command: process.execPath,
      args: ["-e", 'console.error("no such luck"); process.exitCode = 3'],
      env: process.env,
    });
    await expect(handle.untilReady(new Promise(() => {}), 10_000)).rejects.toThrow(
      /broken ended with code 3 before it was ready.*no such luck/s,
    );
  });

  it("ends the process when the process that started it is killed by SIGKILL", async () => {
    const module = fileURLToPath(new URL("process-handle.ts", import.meta.url));
    const script = `
    import { startProcess } from ${JSON.stringify(module)};
    await startProcess({
      name: "listener", command: process.execPath, args: ["-e", ${JSON.stringify(LISTENER)}], env: process.env,
      onLine: (line) => console.log(line),
    });
    setInterval(() => {}, 1000);
  `;
    const owner = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = await once(owner.stdout, "data");
    const port = Number(String(line));
    expect(await isListening(port)).toBe(true);
    owner.kill("SIGKILL");
    await vi.waitFor(async () => expect(await isListening(port)).toBe(false), { timeout: 10_000 });
  });
});
