import net from "node:net";
import type { RoomcastError } from "@roomcast/shared";
import { afterEach, describe, expect, it } from "vitest";
import { eventually } from "../base/eventually.test-support.ts";
import type { AmfValue } from "../rtmp/amf0.ts";
import {
  admit,
  type Script,
  type ScriptedPeer,
  ScriptedRtmpServer,
} from "../rtmp/scripted-rtmp-server.test-support.ts";
import { PipelineMemory } from "./pipeline-memory.ts";
import { RtmpPublisher, type RtmpPublisherOptions } from "./rtmp-publisher.ts";

const allowed = () => Promise.resolve();
const SIGNATURE = "eJwtSECRETSECRET";

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

const letIn: Script = (peer, command) => {
  admit(peer, command);
  if (command.name === "publish") peer.status("status", "NetStream.Publish.Start");
};

const roomUrl = (port: number) => `rtmp://127.0.0.1:${port}/push/room?sdkappid=1&userid=teacher&usersig=${SIGNATURE}`;

async function scripted(script: Script) {
  const server = await ScriptedRtmpServer.start(script);
  cleanUps.push(() => server.stop());
  const publisher = (options: Partial<RtmpPublisherOptions> = {}) => {
    const made = new RtmpPublisher({ url: roomUrl(server.port), ...options });
    cleanUps.push(() => made.stop());
    return made;
  };
  return { server, publisher };
}

/** Answers one command with `_error`. */
function refusing(name: string, values: readonly AmfValue[], transactionId?: number): Script {
  return (peer, command) => {
    if (command.name !== name) admit(peer, command);
    else
      peer.connection.sendCommand(0, {
        name: "_error",
        transactionId: transactionId ?? command.transactionId,
        values: [...values],
      });
  };
}

async function failure(starting: Promise<void>): Promise<RoomcastError> {
  // SAFETY: any other value does not have the code that is compared.
  return (await starting.catch((thrown: unknown) => thrown)) as RoomcastError;
}

const CAUSES = ["package", "UserSig", "B-frames", "chunk size", "UserId"];

/** Returns a port on which no server listens. */
async function freePort(): Promise<number> {
  const server = await ScriptedRtmpServer.start(admit);
  await server.stop();
  return server.port;
}

describe("RtmpPublisher", () => {
  describe("when the room refuses", () => {
    const info = { level: "error", code: "NetStream.Publish.BadName", description: "UserSig expired" };

    it.each<[string, string, readonly AmfValue[], number | undefined, string]>([
      ["publish with _error", "publish", [null, info], undefined, "NetStream.Publish.BadName: UserSig expired"],
      ["publish with _error for no command", "publish", [null, info], 0, "NetStream.Publish.BadName: UserSig expired"],
      ["publish with a text", "publish", [null, "no package"], undefined, "no package"],
      ["publish with the reason first", "publish", [info], undefined, "NetStream.Publish.BadName: UserSig expired"],
      ["publish without a reason", "publish", [], undefined, "it gave no reason"],
      ["createStream", "createStream", [null, { description: "no package" }], undefined, "no package"],
      ["connect", "connect", [null, { code: "NetConnection.Connect.Rejected" }], undefined, "Connect.Rejected"],
    ])("reports the room's reason at once when it answers %s", async (_what, name, values, transactionId, words) => {
      const { publisher } = await scripted(refusing(name, values, transactionId));
      const error = await failure(publisher().start(allowed));
      expect(error.code).toBe("FailedOperation.RoomRefused");
      expect(error.message).toContain(`The room refused the push (`);
      expect(error.message).toContain(words);
    });

    it("lists the documented causes in their order", async () => {
      const { publisher } = await scripted(refusing("publish", [null, info]));
      const { message } = await failure(publisher().start(allowed));
      const places = CAUSES.map((cause) => message.indexOf(cause, message.indexOf("Usual causes")));
      expect(places).toEqual(places.toSorted((a, b) => a - b));
      expect(places[0]).toBeGreaterThan(0);
    });

    it("accepts a room that does not know releaseStream and FCPublish", async () => {
      const { publisher } = await scripted((peer, command) => {
        if (command.name === "releaseStream" || command.name === "FCPublish") {
          const { transactionId } = command;
          peer.connection.sendCommand(0, { name: "_error", transactionId, values: [null, { level: "error" }] });
        } else letIn(peer, command);
      });
      await expect(publisher().start(allowed)).resolves.toBeUndefined();
    });

    it("lists the causes when the room closes the connection instead of answering", async () => {
      const { publisher } = await scripted((peer, command) => {
        admit(peer, command);
        if (command.name === "publish") peer.connection.destroy();
      });
      const error = await failure(publisher().start(allowed));
      expect(error.code).toBe("FailedOperation.RoomUnreachable");
      for (const cause of CAUSES) expect(error.message).toContain(cause);
    });

    it("lists the causes when the connection breaks soon after the push started", async () => {
      const { server, publisher } = await scripted(letIn);
      const started = publisher();
      const ended = new Promise<RoomcastError>((resolve) => {
        started.onEnded = resolve;
      });
      await started.start(allowed);
      server.peers[0]?.connection.destroy();
      const error = await ended;
      expect(error.code).toBe("FailedOperation.RoomLost");
      expect(error.message).toContain("B-frames");
    });

    it("writes the room's whole answer to the log, without secrets", async () => {
      const answer = { ...info, description: `no entry for ${SIGNATURE}`, errCode: -100013 };
      const { publisher } = await scripted(refusing("publish", [null, answer]));
      const lines: object[] = [];
      await failure(publisher({ log: { warn: (fields) => lines.push(fields) } }).start(allowed));
      expect(lines).toMatchObject([{ verdict: "refused", answer: expect.stringContaining('"errCode":-100013') }]);
      expect(JSON.stringify(lines)).not.toContain(SIGNATURE);
    });
  });

  describe("when the room accepts one command at a time", () => {
    /** Does something to a client that sends more before `connect` is answered. */
    function strict(offend: (peer: ScriptedPeer) => void): Script {
      const admitted = new WeakSet<ScriptedPeer>();
      return (peer, command) => {
        if (command.name !== "connect" && !admitted.has(peer)) {
          offend(peer);
          return;
        }
        if (command.name !== "connect") {
          letIn(peer, command);
          return;
        }
        // All pipelined commands have arrived by then.
        setImmediate(() => {
          admitted.add(peer);
          letIn(peer, command);
        });
      };
    }
    const names = (peer: ScriptedPeer | undefined) => peer?.commands.map(({ name }) => name);
    const ALL = ["connect", "releaseStream", "FCPublish", "createStream", "publish"];

    it("tries a second time when the room closes the connection", async () => {
      const { server, publisher } = await scripted(strict((peer) => peer.connection.destroy()));
      await publisher().start(allowed);
      expect(server.peers).toHaveLength(2);
      expect(names(server.peers[1])).toEqual(ALL);
    });

    it("tries a second time when the room ignores commands that came too early", async () => {
      const { server, publisher } = await scripted(strict(() => undefined));
      await publisher({ pipelineTimeoutMs: 100 }).start(allowed);
      expect(names(server.peers.at(-1))).toEqual(ALL);
    });

    it("remembers this for the next publisher", async () => {
      const { server, publisher } = await scripted(strict((peer) => peer.connection.destroy()));
      const memory = new PipelineMemory();
      await publisher({ memory }).start(allowed);
      await publisher({ memory }).start(allowed);
      expect(server.peers).toHaveLength(3);
    });

    it("does not try a second time when the room gave a reason", async () => {
      const { server, publisher } = await scripted(refusing("createStream", [null, { description: "no" }]));
      await failure(publisher().start(allowed));
      expect(server.peers).toHaveLength(1);
    });
  });

  describe("when the host cannot be reached", () => {
    it.each([
      ["whose name does not resolve", async () => "rtmp://no-such-host.invalid/push/room?usersig=1"],
      ["on which no server listens", async () => roomUrl(await freePort())],
    ])("uses the backup of a host %s", async (_what, url) => {
      const { server, publisher } = await scripted(letIn);
      const lines: object[] = [];
      const log = { warn: (fields: object) => lines.push(fields) };
      await publisher({ url: await url(), backupUrl: roomUrl(server.port), log }).start(allowed);
      expect(server.peers).toHaveLength(1);
      expect(lines).toMatchObject([{ why: expect.stringMatching(/ENOTFOUND|EAI_AGAIN|ECONNREFUSED/) }]);
    });

    it("uses the backup of a host that does not speak RTMP", async () => {
      const { server, publisher } = await scripted(letIn);
      const other = net.createServer((socket) =>
        socket
          .on("error", () => undefined)
          .resume()
          .end("HTTP/1.1 400 Bad Request\r\n\r\n"),
      );
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
      cleanUps.push(() => new Promise((resolve) => other.close(() => resolve())));
      // SAFETY: a TCP server that listens has an AddressInfo.
      const { port } = other.address() as net.AddressInfo;
      await publisher({ url: roomUrl(port), backupUrl: roomUrl(server.port) }).start(allowed);
      expect(server.peers).toHaveLength(1);
    });

    it("uses the backup of a host that never answers the dial, within the time limit", async () => {
      const { server, publisher } = await scripted(letIn);
      const hanging: RtmpPublisherOptions["dial"] = ({ port, host, signal }) =>
        port === server.port
          ? Promise.resolve(net.connect({ port, host }))
          : new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      const url = roomUrl(await freePort());
      await publisher({ url, backupUrl: roomUrl(server.port), dial: hanging, startTimeoutMs: 500 }).start(allowed);
      expect(server.peers).toHaveLength(1);
    });

    it("does not use the backup when the room refuses", async () => {
      const { server, publisher } = await scripted(refusing("publish", [null, { code: "NetStream.Publish.Denied" }]));
      const backup = await scripted(letIn);
      await failure(publisher({ backupUrl: roomUrl(backup.server.port) }).start(allowed));
      expect([server.peers.length, backup.server.peers.length]).toEqual([1, 0]);
    });
  });

  describe("when the room stops receiving", () => {
    it("detects the loss by missing acknowledgements although the kernel accepts all bytes", async () => {
      const { server, publisher } = await scripted(letIn);
      const started = publisher({ acknowledgementTimeoutMs: 400, stopTimeoutMs: 100 });
      const ends: RoomcastError[] = [];
      started.onEnded = (error) => ends.push(error);
      await started.start(allowed);
      // Like a paused push, this is little media at an even rate.
      let timestampMs = 0;
      const filler = setInterval(() => {
        timestampMs += 20;
        started.send({ kind: "audio", timestampMs, payload: Buffer.alloc(600) });
      }, 5);
      cleanUps.push(async () => clearInterval(filler));
      const peer = server.peers[0];
      await eventually(() => expect(peer?.messages.length).toBeGreaterThan(300));
      expect(ends).toEqual([]);
      peer?.connection.pause();
      await eventually(() => expect(ends).toHaveLength(1));
      expect(ends[0]).toMatchObject({
        code: "FailedOperation.RoomLost",
        message: expect.stringContaining("acknowledged"),
      });
      expect(started.queuedBytes).toBe(0);
    });
  });
});
