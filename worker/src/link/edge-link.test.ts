import { PROTOCOL_VERSION } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { eventually } from "../base/eventually.test-support.ts";
import { DISPATCH, OTHER, openFleetDoor, REF, runningTask, TASK, WELCOME } from "./fleet-door.test-support.ts";

const door = openFleetDoor();

const ENDED = { type: "ended", ...REF, item: 0, positionMs: 5, outcome: { name: "finished" } } as const;

describe("EdgeLink", () => {
  describe("when it connects", () => {
    it("sends hello first, with the token in a header and the region in the query", async () => {
      const { running } = door.newLink();
      running.push(runningTask());
      const edge = await door.edgeEnd();
      expect(edge.request.url).toBe("/v1/fleet/connect?region=ap-guangzhou");
      expect(edge.request.headers.authorization).toBe("Bearer the.worker.token");
      expect(edge.frames[0]).toEqual({
        type: "hello",
        protocol: PROTOCOL_VERSION,
        workerId: "gz-1",
        instanceId: OTHER,
        region: "ap-guangzhou",
        version: "0.1.0",
        capacityUnits: 200,
        load: { units: 4 },
        running: [{ ...runningTask(), plan: null }],
        draining: false,
      });
    });

    it("omits tasks from hello that ended while the edge was unreachable, and sends their `ended` after the welcome", async () => {
      const { outbox } = door.newLink();
      outbox.addEnded(ENDED);
      const edge = await door.edgeEnd();
      expect(edge.of("hello")[0]?.running).toEqual([]);
      expect(edge.of("ended")).toEqual([]);
      edge.send(WELCOME);
      await eventually(() => expect(edge.of("ended")[0]).toEqual(ENDED));
    });
  });

  describe("after the welcome", () => {
    it("reports all tasks and the load in one frame at the edge's interval", async () => {
      const { running } = door.newLink();
      running.push(runningTask(), runningTask({ taskId: OTHER }));
      const edge = await door.edgeEnd();
      edge.send(WELCOME);
      await eventually(() => expect(edge.of("report").length).toBeGreaterThan(2));
      expect(edge.of("report")[0]).toEqual({ type: "report", load: { units: 4 }, tasks: running });
    });

    it("reports the CPU load once it is known", async () => {
      const { cpu } = door.newLink();
      const edge = await door.edgeEnd();
      edge.send(WELCOME);
      await eventually(() => expect(edge.of("report")[0]?.load).toEqual({ units: 4 }));
      cpu.load = 0.375;
      await eventually(() => expect(edge.of("report").at(-1)?.load).toEqual({ units: 4, cpu: 0.375 }));
      edge.socket.close();
      const again = await door.edgeEnd(1);
      expect(again.of("hello")[0]?.load).toEqual({ units: 4, cpu: 0.375 });
    });

    it("stops tasks that the edge no longer wants", async () => {
      const { calls } = door.newLink();
      const edge = await door.edgeEnd();
      edge.send({ ...WELCOME, stop: [REF] });
      await eventually(() => expect(calls).toEqual([["stop", TASK, 1, "now"]]));
    });

    it("answers a dispatch, and answers it twice when it comes twice", async () => {
      const { calls } = door.newLink();
      const edge = await door.edgeEnd();
      edge.send(WELCOME);
      edge.send(DISPATCH);
      edge.send(DISPATCH);
      await eventually(() => expect(edge.of("accepted")).toHaveLength(2));
      expect(calls).toEqual([
        ["dispatch", TASK, 1],
        ["dispatch", TASK, 1],
      ]);
    });

    it("handles a dispatch and a stop that arrive before the welcome", async () => {
      const { calls } = door.newLink();
      const edge = await door.edgeEnd();
      edge.send(DISPATCH);
      edge.send({ type: "stop", ...REF, how: "tidy", reason: "asked for" });
      edge.send(WELCOME);
      edge.send(WELCOME);
      await eventually(() => expect(edge.of("accepted")).toHaveLength(1));
      expect(calls).toEqual([
        ["dispatch", TASK, 1],
        ["stop", TASK, 1, "tidy"],
      ]);
    });

    it("sends a task's log lines before its `ended`", async () => {
      const { outbox } = door.newLink();
      const edge = await door.edgeEnd();
      edge.send(WELCOME);
      await eventually(() => expect(edge.of("report").length).toBeGreaterThan(0));
      outbox.addLog(REF, { atMs: 1, level: "info", message: "task ended" });
      outbox.addEnded(ENDED);
      await eventually(() => expect(edge.of("ended").length).toBeGreaterThan(0));
      const types = edge.frames.map(({ type }) => type).filter((type) => type === "logs" || type === "ended");
      expect(types.slice(0, 2)).toEqual(["logs", "ended"]);
    });

    it("answers a change of a push under the id of that change", async () => {
      door.newLink();
      const edge = await door.edgeEnd();
      edge.send(WELCOME);
      edge.send({ type: "update", ...REF, updateId: OTHER, change: { IsPause: true } });
      await eventually(() =>
        expect(edge.of("updated")).toEqual([{ type: "updated", ...REF, updateId: OTHER, error: null }]),
      );
    });

    it("releases a task that the edge asks back", async () => {
      const { calls } = door.newLink();
      const edge = await door.edgeEnd();
      edge.send(WELCOME);
      edge.send({ type: "release", ...REF, reason: "the worker is drained" });
      await eventually(() => expect(calls).toEqual([["release", TASK, 1]]));
    });

    it("gets an attempt confirmed at once, or when the edge is reachable again", async () => {
      const { confirmations } = door.newLink();
      const { signal } = new AbortController();
      const edge = await door.edgeEnd();
      const early = confirmations.until(REF, signal);
      edge.send(WELCOME);
      await eventually(() => expect(edge.of("confirm")).not.toEqual([]));
      edge.send({ type: "confirmed", ...REF });
      await early;
      edge.socket.terminate();
      const again = await door.edgeEnd(1);
      const late = confirmations.until(REF, signal);
      again.send({ ...WELCOME, keep: [REF] });
      await eventually(() => expect(again.of("confirm").length).toBeGreaterThan(1));
      expect(confirmations.waiting).toEqual([REF]);
      again.send({ type: "confirmed", ...REF });
      await late;
    });

    it("announces a drain", async () => {
      const { link } = door.newLink();
      const edge = await door.edgeEnd();
      edge.send(WELCOME);
      await eventually(() => expect(link.connected).toBe(true));
      link.announceDraining("SIGTERM");
      await eventually(() => expect(edge.of("draining")).toEqual([{ type: "draining", reason: "SIGTERM" }]));
    });
  });

  describe("when a task ends", () => {
    it("repeats `ended` until it is acknowledged, also over another socket", async () => {
      const { outbox } = door.newLink();
      const first = await door.edgeEnd();
      first.send(WELCOME);
      outbox.addEnded(ENDED);
      await eventually(() => expect(first.of("ended").length).toBeGreaterThan(1));
      first.socket.terminate();
      const second = await door.edgeEnd(1);
      second.send(WELCOME);
      await eventually(() => expect(second.of("ended").length).toBeGreaterThan(1));
      second.send({ type: "ack", ...REF });
      second.send({ type: "ack", ...REF });
      await outbox.delivered();
      expect(outbox.ended).toEqual([]);
    });

    it("answers a stop that crossed the `ended`", async () => {
      const { outbox, calls } = door.newLink({ timings: { repeatEndedMs: 60_000 } });
      const edge = await door.edgeEnd();
      edge.send(WELCOME);
      outbox.addEnded(ENDED);
      await eventually(() => expect(edge.of("ended")).toHaveLength(1));
      edge.send({ type: "stop", ...REF, how: "now", reason: "asked for" });
      await eventually(() => expect(edge.of("ended")).toHaveLength(2));
      expect(calls).toEqual([]);
    });
  });

  it("ends on stop, also while it dials or waits, and stop can be called twice", async () => {
    const { link, ended } = door.newLink();
    const edge = await door.edgeEnd();
    await Promise.all([link.stop(), link.stop()]);
    expect(await ended).toEqual({ name: "stopped" });
    await eventually(() => expect(edge.closed?.code).toBe(1000));
    expect(door.sockets).toHaveLength(1);
  });
});
