import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { CLOSE, encodeFrame, MAX_FRAME_LENGTH, PROTOCOL_VERSION } from "@roomcast/shared";
import { describe, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { eventually } from "../base/eventually.test-support.ts";
import { DISPATCH, type EdgeEnd, openFleetDoor, portOf, REF, TASK, WELCOME } from "./fleet-door.test-support.ts";

const door = openFleetDoor();

describe("a lost edge", () => {
  test("is dialled again until it is there; its absence is said once", async () => {
    const gone = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(gone, "listening");
    const port = portOf(gone);
    gone.close();
    await once(gone, "close");
    const { link } = door.newLink({ port });
    await eventually(() => expect(link.reconnects).toBeGreaterThan(3));
    const back = new WebSocketServer({ port, host: "127.0.0.1" });
    back.on("connection", (socket) => socket.on("message", () => socket.send(encodeFrame(WELCOME))));
    door.afterwards(async () => {
      for (const client of back.clients) client.terminate();
      back.close();
    });
    await eventually(() => expect(link.connected).toBe(true));
    expect(door.logged.filter(({ msg }) => msg.includes("cannot be reached"))).toHaveLength(1);
    expect(door.logged.filter(({ msg }) => msg.includes("reached again"))).toHaveLength(1);
  });

  test("that cuts every socket is met again each time, with a hello", async () => {
    const { calls } = door.newLink();
    for (let n = 0; n < 5; n += 1) {
      const edge = await door.edgeEnd(n);
      edge.send(WELCOME);
      edge.socket.terminate();
    }
    await door.edgeEnd(5);
    expect(calls).toEqual([]);
  });

  test("that falls silent is left, and dialled again", async () => {
    door.newLink();
    const silent = await door.edgeEnd();
    silent.send({ ...WELCOME, heartbeatTimeoutMs: 100 });
    await door.edgeEnd(1);
    await eventually(() => expect(silent.closed).toEqual({ code: CLOSE.silent, reason: "silent" }));
  });

  test("is not left while it answers reports by heartbeats", async () => {
    door.newLink();
    const edge = await door.edgeEnd();
    edge.socket.on("message", () => edge.send({ type: "heartbeat" }));
    edge.send({ ...WELCOME, heartbeatTimeoutMs: 1_000 });
    await eventually(() => expect(edge.of("report").length).toBeGreaterThan(25));
    expect(door.sockets).toHaveLength(1);
  });

  test("behind a network that drops everything is found out", async () => {
    // A proxy that stops passing anything on, and closes nothing.
    const passing: Socket[] = [];
    let dropping = false;
    const proxy = createServer((inbound) => {
      const outbound = connect(door.port, "127.0.0.1");
      passing.push(inbound, outbound);
      for (const [from, to] of [
        [inbound, outbound],
        [outbound, inbound],
      ] as const) {
        from.on("error", () => {});
        from.on("data", (data) => void (dropping || to.write(data)));
      }
    }).listen(0, "127.0.0.1");
    await once(proxy, "listening");
    door.afterwards(async () => {
      for (const socket of passing) socket.destroy();
      proxy.close();
    });
    const { link } = door.newLink({ port: portOf(proxy) });
    const edge = await door.edgeEnd();
    edge.send({ ...WELCOME, heartbeatTimeoutMs: 100 });
    await eventually(() => expect(link.connected).toBe(true));
    dropping = true;
    await eventually(() => expect(link.connected).toBe(false));
    dropping = false;
    await door.edgeEnd(1);
  });

  test("that takes the socket and never says welcome is dialled again", async () => {
    const { link } = door.newLink({ timings: { welcomeTimeoutMs: 50 } });
    await door.edgeEnd(1);
    expect(link.reconnects).toBeGreaterThan(0);
  });
});

describe("hostile frames", () => {
  const cases: [string, string | Buffer][] = [
    ["no JSON", "{"],
    ["no object", "[]"],
    ["an unknown type", '{"type":"reboot"}'],
    ["a dispatch without a request", JSON.stringify({ ...DISPATCH, request: undefined })],
    ["a dispatch with a wrong field", JSON.stringify({ ...DISPATCH, request: { ...DISPATCH.request, SdkAppId: -1 } })],
    ["an attempt of 0", JSON.stringify({ type: "stop", taskId: TASK, attempt: 0, how: "now", reason: "" })],
    ["a report interval of nothing", JSON.stringify({ ...WELCOME, reportIntervalMs: 0 })],
    ["a frame that is too long", JSON.stringify({ type: "ack", ...REF, x: "x".repeat(MAX_FRAME_LENGTH) })],
    ["a binary frame", Buffer.from(JSON.stringify({ type: "ack", ...REF }))],
  ];

  test.for(cases)("%s closes the socket with a reason; the worker lives and dials again", async ([, frame]) => {
    const { calls } = door.newLink();
    const edge = await door.edgeEnd();
    edge.socket.send(frame);
    await eventually(() => expect(edge.closed?.code).toBe(CLOSE.malformedFrame));
    expect(edge.closed?.reason).not.toBe("");
    const next = await door.edgeEnd(1);
    next.send(WELCOME);
    next.send(DISPATCH);
    await eventually(() => expect(next.of("accepted")).toHaveLength(1));
    expect(calls).toEqual([["dispatch", TASK, 1]]);
  });
});

describe("an edge that does not want this worker", () => {
  test.for([401, 403])("refuses its token by HTTP %d: it is said clearly, and knocking is slow", async (status) => {
    door.refuseWith = status;
    const { link } = door.newLink({ timings: { refusedRetryMs: 20 } });
    await eventually(() => expect(link.reconnects).toBeGreaterThan(1));
    expect(door.logged.every(({ msg }) => !msg.includes("cannot be reached"))).toBe(true);
    expect(door.logged.some(({ msg }) => msg.includes("refuses this worker's token"))).toBe(true);
    expect(JSON.stringify(door.logged)).not.toContain("the.worker.token");
    door.refuseWith = undefined;
    await door.edgeEnd();
  });

  test("knocks slowly: the wait is half the slow interval at least", async () => {
    door.refuseWith = 401;
    const { link } = door.newLink({ timings: { refusedRetryMs: 600_000 } });
    await eventually(() => expect(link.reconnects).toBe(1));
    door.refuseWith = undefined;
    await link.stop();
    expect(door.sockets).toHaveLength(0);
  });

  test("replaced it by another process of the same name: it is said", async () => {
    door.newLink({ timings: { refusedRetryMs: 20 } });
    const edge = await door.edgeEnd();
    edge.socket.close(CLOSE.replaced, "replaced");
    await door.edgeEnd(1);
    expect(door.logged.some(({ msg }) => msg.includes("another process"))).toBe(true);
  });

  test.for<[string, (edge: EdgeEnd) => void]>([
    ["by its welcome", (edge) => edge.send({ ...WELCOME, protocol: PROTOCOL_VERSION + 1 })],
    ["by its close code", (edge) => edge.socket.close(CLOSE.protocolMismatch, "protocol 2 is spoken here")],
  ])("speaks another protocol, %s: the link ends for good", async ([, refuse]) => {
    const { ended } = door.newLink();
    refuse(await door.edgeEnd());
    expect((await ended).name).toBe("protocolMismatch");
    expect(door.logged.some(({ level, msg }) => level === 60 && msg.includes("another protocol version"))).toBe(true);
  });
});
