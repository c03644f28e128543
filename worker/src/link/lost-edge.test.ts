import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { CLOSE, encodeFrame, MAX_FRAME_LENGTH, PROTOCOL_VERSION } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { eventually } from "../base/eventually.test-support.ts";
import { DISPATCH, type EdgeEnd, openFleetDoor, portOf, REF, TASK, WELCOME } from "./fleet-door.test-support.ts";

const door = openFleetDoor();

describe("EdgeLink", () => {
  describe("when the edge is lost", () => {
    it("dials until the edge is back and logs its absence once", async () => {
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

    it("connects again with a hello each time that the edge closes the socket", async () => {
      const { calls } = door.newLink();
      for (let n = 0; n < 5; n += 1) {
        const edge = await door.edgeEnd(n);
        edge.send(WELCOME);
        edge.socket.terminate();
      }
      await door.edgeEnd(5);
      expect(calls).toEqual([]);
    });

    it("closes the socket of a silent edge and dials again", async () => {
      door.newLink();
      const silent = await door.edgeEnd();
      silent.send({ ...WELCOME, heartbeatTimeoutMs: 100 });
      await door.edgeEnd(1);
      await eventually(() => expect(silent.closed).toEqual({ code: CLOSE.silent, reason: "silent" }));
    });

    it("keeps the socket while the edge answers reports with heartbeats", async () => {
      door.newLink();
      const edge = await door.edgeEnd();
      edge.socket.on("message", () => edge.send({ type: "heartbeat" }));
      edge.send({ ...WELCOME, heartbeatTimeoutMs: 1_000 });
      await eventually(() => expect(edge.of("report").length).toBeGreaterThan(25));
      expect(door.sockets).toHaveLength(1);
    });

    it("detects a network that drops everything", async () => {
      // The proxy stops forwarding and closes nothing.
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

    it("dials again when the edge accepts the socket but never sends a welcome", async () => {
      const { link } = door.newLink({ timings: { welcomeTimeoutMs: 50 } });
      await door.edgeEnd(1);
      expect(link.reconnects).toBeGreaterThan(0);
    });
  });

  describe("when the edge sends hostile frames", () => {
    const cases: [string, string | Buffer][] = [
      ["invalid JSON", "{"],
      ["an array", "[]"],
      ["an unknown type", '{"type":"reboot"}'],
      ["a dispatch without a request", JSON.stringify({ ...DISPATCH, request: undefined })],
      [
        "a dispatch with a wrong field",
        JSON.stringify({ ...DISPATCH, request: { ...DISPATCH.request, SdkAppId: -1 } }),
      ],
      ["an attempt of 0", JSON.stringify({ type: "stop", taskId: TASK, attempt: 0, how: "now", reason: "" })],
      ["a report interval of 0", JSON.stringify({ ...WELCOME, reportIntervalMs: 0 })],
      ["a frame that is too long", JSON.stringify({ type: "ack", ...REF, x: "x".repeat(MAX_FRAME_LENGTH) })],
      ["a binary frame", Buffer.from(JSON.stringify({ type: "ack", ...REF }))],
    ];

    it.for(cases)("closes the socket with a reason and dials again after %s", async ([, frame]) => {
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

  describe("when the edge refuses this worker", () => {
    it.for([401, 403])("logs a refused token clearly and dials slowly after HTTP %d", async (status) => {
      door.refuseWith = status;
      const { link } = door.newLink({ timings: { refusedRetryMs: 20 } });
      await eventually(() => expect(link.reconnects).toBeGreaterThan(1));
      expect(door.logged.every(({ msg }) => !msg.includes("cannot be reached"))).toBe(true);
      expect(door.logged.some(({ msg }) => msg.includes("refuses this worker's token"))).toBe(true);
      expect(JSON.stringify(door.logged)).not.toContain("the.worker.token");
      door.refuseWith = undefined;
      await door.edgeEnd();
    });

    it("waits at least half of the slow interval between dials", async () => {
      door.refuseWith = 401;
      const { link } = door.newLink({ timings: { refusedRetryMs: 600_000 } });
      await eventually(() => expect(link.reconnects).toBe(1));
      door.refuseWith = undefined;
      await link.stop();
      expect(door.sockets).toHaveLength(0);
    });

    it("logs that another process with the same name has replaced it", async () => {
      door.newLink({ timings: { refusedRetryMs: 20 } });
      const edge = await door.edgeEnd();
      edge.socket.close(CLOSE.replaced, "replaced");
      await door.edgeEnd(1);
      expect(door.logged.some(({ msg }) => msg.includes("another process"))).toBe(true);
    });

    it.for<[string, (edge: EdgeEnd) => void]>([
      ["in its welcome", (edge) => edge.send({ ...WELCOME, protocol: PROTOCOL_VERSION + 1 })],
      ["with its close code", (edge) => edge.socket.close(CLOSE.protocolMismatch, "protocol 2 is spoken here")],
    ])("ends permanently when the edge announces another protocol %s", async ([, refuse]) => {
      const { ended } = door.newLink();
      refuse(await door.edgeEnd());
      expect((await ended).name).toBe("protocolMismatch");
      expect(door.logged.some(({ level, msg }) => level === 60 && msg.includes("another protocol version"))).toBe(true);
    });
  });
});
