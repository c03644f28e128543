import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type Stack, startStack } from "./stack.ts";

let stack: Stack | undefined;

afterEach(async () => {
  await stack?.stop();
});

async function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

describe("startStack", () => {
  it("starts with connected workers, keeps its tasks when the edge restarts, and leaves nothing behind", {
    timeout: 120_000,
  }, async () => {
    stack = await startStack({ workers: 1, redis: false, edgeSettings: { QUEUE_TIMEOUT_MS: "60000" } });
    expect(await stack.client.workers()).toEqual([expect.objectContaining({ workerId: "worker-1", draining: false })]);

    // wrangler's Local Explorer would open the Durable Objects to everybody on this machine.
    const explorer = await fetch(`${stack.edge.url}/cdn-cgi/explorer/api/workers/durable_objects/namespaces`);
    expect(await explorer.text()).not.toContain("roomcast-edge");

    const taskId = await stack.client.push({
      VideoSrc: stack.files.serve("/nowhere.mp4", { name: "hang" }),
      SdkAppId: 1400000001,
      StrRoomId: "classroom",
      UserId: "teacher",
      UserSig: await stack.userSig("teacher"),
    });
    await stack.restartEdge();
    expect(await stack.client.task(taskId)).toMatchObject({ taskId, status: "RUNNING" });

    const urls = [stack.edge.url, stack.files.origin, stack.emulator.httpUrl, stack.emulator.rtmpUrl];
    expect(await Promise.all(urls.map(isListening))).toEqual([true, true, true, true]);
    await Promise.all([stack.stop(), stack.stop()]);
    expect(await Promise.all(urls.map(isListening))).toEqual([false, false, false, false]);
    expect(stack.workers.map(({ exit }) => exit)).toEqual([expect.objectContaining({ signal: null })]);
  });

  it("throws an error with the output of the part that does not start", { timeout: 120_000 }, async () => {
    const starting = startStack({ redis: false, workerSettings: { ROOMCAST_LOG_LEVEL: "chatty" } });
    await expect(starting).rejects.toThrow(/worker-1 has ended.*ROOMCAST_LOG_LEVEL/s);
  });
});
