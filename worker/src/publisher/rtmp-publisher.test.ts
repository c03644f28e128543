import { readFileSync } from "node:fs";
import net from "node:net";
import type { RoomcastError } from "@roomcast/shared";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { eventually } from "../base/eventually.test-support.ts";
import { parseTagBody } from "../media/flv/flv-tag.ts";
import type { FlvTag } from "../media/flv/flv-writer.ts";
import { PLAIN_AAC, PLAIN_H264, runFfmpeg, sampleFlv } from "../media/flv/sample-flv.test-support.ts";
import { IndependentRtmpServer } from "../rtmp/independent-rtmp-server.test-support.ts";
import { MESSAGE, readData } from "../rtmp/message.ts";
import { admit, type Script, ScriptedRtmpServer } from "../rtmp/scripted-rtmp-server.test-support.ts";
import { RtmpPublisher, type RtmpPublisherOptions } from "./rtmp-publisher.ts";

const allowed = () => Promise.resolve();

const fixture = (name: string) => readFileSync(new URL(`../rtmp/fixtures/${name}`, import.meta.url), "utf8");
const METADATA = { width: 640, height: 360, fps: 25 };
const SIGNATURE = "eJwtSECRETSECRET";

/** A busy machine may take longer than the second that `waitFor` gives by itself. */

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

function owned<Owned extends { stop(): Promise<void> }>(part: Owned): Owned {
  cleanUps.push(() => part.stop());
  return part;
}

async function scripted(script: Script, options: Partial<RtmpPublisherOptions> = {}) {
  const server = owned(await ScriptedRtmpServer.start(script));
  const url = `rtmp://127.0.0.1:${server.port}/push/room?sdkappid=1&userid=teacher&usersig=${SIGNATURE}`;
  const publisher = owned(new RtmpPublisher({ url, ...options }));
  return { server, publisher };
}

const letIn: Script = (peer, command) => {
  admit(peer, command);
  if (command.name === "publish") peer.status("status", "NetStream.Publish.Start");
};

interface Packet {
  codec_type: string;
  dts: number;
  pts: number;
  flags: string;
  size: string;
}

describe("RtmpPublisher with an independent server", () => {
  let tags: FlvTag[];

  beforeAll(async () => {
    const video = [...PLAIN_H264, "-qp", "10"];
    tags = await sampleFlv({ seconds: 2, fps: 25, video, audio: PLAIN_AAC, size: "640x360" });
  });

  // 16,777,215 ms is where RTMP's 24-bit timestamps end; at 2^31 a signed number ends. (This server cannot write what
  // lies past 2^32; that is tried with the room emulator in e2e.)
  it.each([0, 16_776_300, 16_777_300, 2 ** 31 - 900])(
    "is read back frame by frame by ffprobe, beginning at %i ms",
    async (startMs) => {
      const server = owned(await IndependentRtmpServer.start());
      // The server would continue an earlier stream of the same name.
      const path = `/live/from-${startMs}`;
      const url = `rtmp://127.0.0.1:${server.port}${path}`;
      const played = server.played(path);
      const reading = runFfmpeg(["-v", "error", "-show_packets", "-show_streams", "-of", "json", url], "ffprobe");
      await played;
      // All of it is sent at once, which a busy machine may not receive within the time limit for leaving a room.
      const publisher = owned(new RtmpPublisher({ url, stopTimeoutMs: 30_000 }));
      await publisher.start(allowed);
      publisher.sendMetadata(METADATA);
      const media = tags.flatMap((tag) =>
        tag.kind === "data" ? [] : [{ kind: tag.kind, timestampMs: startMs + tag.timestampMs, payload: tag.payload }],
      );
      for (const item of media) publisher.send(item);
      // The test is useless unless some message needs many chunks.
      expect(Math.max(...media.map((item) => item.payload.length))).toBeGreaterThan(60_000);
      await publisher.stop();
      expect(publisher.queuedBytes).toBe(0);
      server.endConnections();

      // SAFETY: ffprobe's JSON has this shape.
      const seen = JSON.parse((await reading).toString()) as { packets: Packet[]; streams: { codec_name: string }[] };
      expect(seen.streams.map((stream) => stream.codec_name).toSorted()).toEqual(["aac", "h264"]);
      for (const kind of ["audio", "video"] as const) {
        const sent = media.filter((item) => {
          const tag = parseTagBody(item.kind, 0, item.payload);
          return item.kind === kind && tag !== null && !tag.sequenceHeader;
        });
        const packets = seen.packets.filter((packet) => packet.codec_type === kind);
        expect(packets.map((packet) => packet.dts)).toEqual(sent.map((item) => item.timestampMs));
        const headerBytes = kind === "video" ? 5 : 2;
        expect(packets.map((packet) => Number(packet.size))).toEqual(
          sent.map((item) => item.payload.length - headerBytes),
        );
      }
      expect(seen.packets.filter((packet) => packet.codec_type === "video")).toHaveLength(50);
    },
  );

  it("publishes over rtmps to a server whose certificate it can verify", async () => {
    const key = fixture("test-server.key.pem");
    const server = owned(await IndependentRtmpServer.start({ tls: { key, cert: fixture("test-server.crt.pem") } }));
    const published = server.published("/live/secure");
    const url = `rtmps://localhost:${server.port}/live/secure`;
    const publisher = owned(new RtmpPublisher({ url, caCertificate: fixture("test-ca.crt.pem") }));
    await publisher.start(allowed);
    await published;
    publisher.sendMetadata(METADATA);
    await eventually(() => expect(publisher.queuedBytes).toBe(0));
    expect(publisher.sentBytes).toBeGreaterThan(3073);
  });

  it("does not publish over rtmps to a server with an untrusted certificate", async () => {
    const key = fixture("test-server.key.pem");
    const server = owned(await IndependentRtmpServer.start({ tls: { key, cert: fixture("test-server.crt.pem") } }));
    const publisher = owned(new RtmpPublisher({ url: `rtmps://localhost:${server.port}/live/secure` }));
    await expect(publisher.start(allowed)).rejects.toMatchObject({
      code: "FailedOperation.RoomUnreachable",
      message: expect.stringContaining("UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
    });
  });
});

describe("RtmpPublisher", () => {
  it("pipelines the commands up to the stream, then publishes with room and query as key", async () => {
    const { server, publisher } = await scripted((peer, command) => {
      // The server answers only after all four have arrived: a client that waits for an answer in between would fail.
      if (command.name === "createStream") for (const earlier of peer.commands) admit(peer, earlier);
      if (command.name === "publish") peer.status("status", "NetStream.Publish.Start");
    });
    await publisher.start(allowed);
    const commands = server.peers[0]?.commands ?? [];
    const names = commands.map((command) => command.name);
    expect(names).toEqual(["connect", "releaseStream", "FCPublish", "createStream", "publish"]);
    expect(commands[0]?.values[0]).toMatchObject({ app: "push", tcUrl: `rtmp://127.0.0.1:${server.port}/push` });
    const key = `room?sdkappid=1&userid=teacher&usersig=${SIGNATURE}`;
    expect(commands[4]?.values).toEqual([null, key, "live"]);
  });

  it("sends metadata, audio and video, and leaves properly", async () => {
    const { server, publisher } = await scripted(letIn);
    await publisher.start(allowed);
    publisher.sendMetadata(METADATA);
    publisher.send({ kind: "video", timestampMs: 40, payload: Buffer.from("1701", "hex") });
    publisher.send({ kind: "audio", timestampMs: 2 ** 32 + 5, payload: Buffer.from("af01", "hex") });
    await publisher.stop();
    publisher.send({ kind: "audio", timestampMs: 2 ** 32 + 9, payload: Buffer.from("af01", "hex") });
    const [peer] = server.peers;
    const [metadata, video, audio, ...rest] = peer?.messages ?? [];
    expect(rest).toEqual([]);
    expect(metadata && readData(metadata)).toMatchObject([
      "@setDataFrame",
      "onMetaData",
      { entries: { width: 640, height: 360, framerate: 25 } },
    ]);
    expect(video).toMatchObject({ typeId: MESSAGE.video, timestampMs: 40, streamId: 1 });
    expect(audio).toMatchObject({ typeId: MESSAGE.audio, timestampMs: 5, streamId: 1 });
    expect(peer?.commands.slice(-2).map((command) => command.name)).toEqual(["FCUnpublish", "deleteStream"]);
  });

  it.each([
    ["NetStream.Publish.BadName", "FailedOperation.RoomRefused"],
    ["NetStream.Publish.Denied", "FailedOperation.RoomRefused"],
    ["NetStream.Publish.Whatever", "FailedOperation.RoomRefused"],
  ])("reports why a room refuses with %s, without secrets", async (code, expected) => {
    const { publisher } = await scripted((peer, command) => {
      admit(peer, command);
      const why = `no entry for ${command.values[1] as string}, see rtmp://h/push/room?usersig=${SIGNATURE} (${SIGNATURE})`;
      if (command.name === "publish") peer.status("error", code, why);
    });
    // SAFETY: any other value does not have the code that is compared below.
    const error = (await publisher.start(allowed).catch((thrown: unknown) => thrown)) as RoomcastError;
    expect(error.code).toBe(expected);
    expect(error.message).toContain(`${code}: no entry for`);
    expect(JSON.stringify([error, error.message, error.stack])).not.toContain(SIGNATURE);
  });

  it("fails as refused when the server rejects the connection", async () => {
    const { publisher } = await scripted((peer, command) => {
      const info = { level: "error", code: "NetConnection.Connect.Rejected", description: "no such app" };
      const values = [null, info];
      if (command.name === "connect") {
        peer.connection.sendCommand(0, { name: "_error", transactionId: command.transactionId, values });
      }
    });
    await expect(publisher.start(allowed)).rejects.toMatchObject({
      code: "FailedOperation.RoomRefused",
      message: expect.stringContaining(
        "The room refused the push (NetConnection.Connect.Rejected: no such app). Usual",
      ),
    });
  });

  it.each([
    ["error", "NetStream.Publish.Replaced", "FailedOperation.RoomReplaced"],
    ["error", "NetStream.Publish.Kicked", "FailedOperation.RoomRefused"],
    ["error", "NetStream.Something.Else", "FailedOperation.RoomLost"],
  ])("ends with the matching code when the room sends %s %s", async (level, code, expected) => {
    const { server, publisher } = await scripted(letIn);
    const ended = new Promise<RoomcastError>((resolve) => {
      publisher.onEnded = resolve;
    });
    await publisher.start(allowed);
    server.peers[0]?.status(level, code);
    expect(await ended).toMatchObject({ code: expected });
  });

  it("ends as lost when the room closes the connection", async () => {
    const { server, publisher } = await scripted(letIn);
    const onEnded = vi.fn<(error: RoomcastError) => void>();
    publisher.onEnded = onEnded;
    await publisher.start(allowed);
    server.peers[0]?.connection.destroy();
    await eventually(() => expect(onEnded).toHaveBeenCalledOnce());
    expect(onEnded.mock.calls[0]?.[0]).toMatchObject({ code: "FailedOperation.RoomLost" });
    expect(onEnded.mock.calls[0]?.[0].message).not.toContain(SIGNATURE);
  });

  it("does not report an end that was requested", async () => {
    const { publisher } = await scripted(letIn);
    publisher.onEnded = vi.fn<(error: RoomcastError) => void>();
    await publisher.start(allowed);
    await Promise.all([publisher.stop(), publisher.stop()]);
    expect(publisher.onEnded).not.toHaveBeenCalled();
  });

  it("does not report the room's confirmation as an end when it leaves the room itself", async () => {
    const warn = vi.fn<(fields: object, message: string) => void>();
    const goodbye: Script = (peer, command) => {
      letIn(peer, command);
      if (command.name === "deleteStream") peer.status("status", "NetStream.Unpublish.Success");
    };
    const { publisher, server } = await scripted(goodbye, { log: { warn } });
    publisher.onEnded = vi.fn<(error: RoomcastError) => void>();
    await publisher.start(allowed);
    await publisher.stop();
    expect(server.peers[0]?.commands.at(-1)?.name).toBe("deleteStream");
    expect(publisher.onEnded).not.toHaveBeenCalled();
    expect(warn).not.toHaveBeenCalled();
  });

  it("fails as unreachable when no server listens", async () => {
    const server = await ScriptedRtmpServer.start(letIn);
    await server.stop();
    const publisher = new RtmpPublisher({ url: `rtmp://127.0.0.1:${server.port}/push/room?usersig=${SIGNATURE}` });
    await expect(publisher.start(allowed)).rejects.toMatchObject({
      code: "FailedOperation.RoomUnreachable",
      message: `The room at rtmp://127.0.0.1:${server.port}/push/…?… could not be reached: ECONNREFUSED.`,
    });
  });

  it.each([
    ["HTTP/1.1 400 Bad Request\r\n\r\n", "it does not speak RTMP"],
    ["", "it closed the connection"],
  ])("fails as unreachable when the server answers %j", async (answer, why) => {
    const server = net.createServer((socket) =>
      socket
        .on("error", () => undefined)
        .resume()
        .end(answer),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanUps.push(() => new Promise((resolve) => server.close(() => resolve())));
    // SAFETY: a TCP server that listens has an AddressInfo.
    const { port } = server.address() as net.AddressInfo;
    const publisher = new RtmpPublisher({ url: `rtmp://127.0.0.1:${port}/push/room` });
    await expect(publisher.start(allowed)).rejects.toMatchObject({
      code: "FailedOperation.RoomUnreachable",
      message: expect.stringContaining(why),
    });
  });

  it("gives up when the room never allows publishing", async () => {
    const server = owned(await ScriptedRtmpServer.start(admit));
    const publisher = new RtmpPublisher({ url: `rtmp://127.0.0.1:${server.port}/push/room`, startTimeoutMs: 50 });
    await expect(publisher.start(allowed)).rejects.toMatchObject({
      code: "FailedOperation.RoomUnreachable",
      message: expect.stringContaining("did not answer within 50 ms"),
    });
  });

  it("takes the seat only when it is allowed to, with everything else done by then", async () => {
    const { server, publisher } = await scripted(letIn);
    const leave = Promise.withResolvers<void>();
    const starting = publisher.start(() => leave.promise);
    const commands = () => server.peers[0]?.commands.map(({ name }) => name) ?? [];
    await eventually(() => expect(commands()).toContain("createStream"));
    expect(commands()).not.toContain("publish");
    leave.resolve();
    await starting;
    expect(commands().at(-1)).toBe("publish");
  });

  it("does not wait for the permission to publish when it is stopped", async () => {
    const { server, publisher } = await scripted(letIn);
    const starting = publisher.start(() => new Promise(() => undefined));
    await eventually(() => expect(server.peers[0]?.commands.at(-1)?.name).toBe("createStream"));
    await Promise.all([
      publisher.stop(),
      expect(starting).rejects.toMatchObject({ code: "FailedOperation.RoomUnreachable" }),
    ]);
  });

  it("can be stopped while it waits for the room's answer", async () => {
    const { server, publisher } = await scripted(admit);
    const starting = publisher.start(allowed);
    await eventually(() => expect(server.peers[0]?.commands.at(-1)?.name).toBe("publish"));
    await Promise.all([
      publisher.stop(),
      expect(starting).rejects.toMatchObject({ code: "FailedOperation.RoomUnreachable" }),
    ]);
  });

  it("leaves within the time limit when the room no longer receives", async () => {
    const { server, publisher: _unused } = await scripted(letIn);
    const url = `rtmp://127.0.0.1:${server.port}/push/room`;
    const publisher = new RtmpPublisher({ url, stopTimeoutMs: 50 });
    await publisher.start(allowed);
    server.peers.at(-1)?.connection.pause();
    for (let n = 0; n < 20; n += 1) {
      publisher.send({ kind: "video", timestampMs: n * 40, payload: Buffer.alloc(1_000_000) });
    }
    expect(publisher.queuedBytes).toBeGreaterThan(10_000_000);
    await publisher.stop();
    expect(publisher.sentBytes).toBeLessThan(20_000_000);
  });

  it("waits until a slow room has received the queue when it leaves", async () => {
    const { server } = await scripted(letIn);
    const url = `rtmp://127.0.0.1:${server.port}/push/room`;
    const publisher = new RtmpPublisher({ url, stopTimeoutMs: 1000 });
    await publisher.start(allowed);
    const peer = server.peers.at(-1);
    peer?.connection.pause();
    for (let n = 0; n < 20; n += 1) {
      publisher.send({ kind: "video", timestampMs: n * 40, payload: Buffer.alloc(1_000_000) });
    }
    const stopped = publisher.stop();
    // Reading resumes after the first check, at which nothing had been received.
    const held = setTimeout(() => peer?.connection.resume(), 1100);
    await stopped;
    clearTimeout(held);
    expect(publisher.sentBytes).toBeGreaterThan(20_000_000);
  });

  it("rejects a URL that is not an RTMP address", () => {
    expect(() => new RtmpPublisher({ url: "https://example.com/room" })).toThrow(/rtmp\(s\)/);
  });
});
