import { setImmediate } from "node:timers/promises";
import type { RoomcastError } from "@roomcast/shared";
import { afterEach, describe, expect, it } from "vitest";
import { eventually } from "../../base/eventually.test-support.ts";
import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { directDial } from "../../rtmp/dial-rtmp.ts";
import { dataMessage, MESSAGE, USER_EVENT, userControl } from "../../rtmp/message.ts";
import {
  admit,
  type Script,
  type ScriptedPeer,
  ScriptedRtmpServer,
} from "../../rtmp/scripted-rtmp-server.test-support.ts";
import type { SourceEnd } from "../source.ts";
import { RtmpPuller, type RtmpPullerOptions } from "./rtmp-puller.ts";

/** A busy machine may take longer than the default of `waitFor`, one second. */

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

const play: Script = (peer, command) => {
  admit(peer, command);
  if (command.name === "play") peer.status("status", "NetStream.Play.Start");
};

async function pulling(script: Script, options: Partial<RtmpPullerOptions> = {}) {
  const server = await ScriptedRtmpServer.start(script);
  cleanUps.push(() => server.stop());
  const tags: FlvTag[] = [];
  const ended = Promise.withResolvers<SourceEnd>();
  const puller = new RtmpPuller({
    url: `rtmp://127.0.0.1:${server.port}/live/game?token=SECRETTOKEN`,
    connect: directDial(),
    onTag: (tag) => tags.push(tag),
    onEnd: ended.resolve,
    ...options,
  });
  cleanUps.push(() => puller.stop());
  const peer = (): ScriptedPeer => {
    const [first] = server.peers;
    if (first === undefined) throw new Error("nobody has connected");
    return first;
  };
  return { server, puller, tags, ended: ended.promise, peer };
}

function sendVideo(peer: ScriptedPeer, timestampMs: number, bytes = 6): void {
  peer.connection.send({
    chunkStreamId: 6,
    typeId: MESSAGE.video,
    streamId: 1,
    timestampMs,
    payload: Buffer.alloc(bytes, 0x17),
  });
}

describe("RtmpPuller", () => {
  it("plays the stream with its query as key", async () => {
    const { puller, peer } = await pulling(play);
    await puller.start();
    const commands = peer().commands.map(({ name, values }) => [name, values[1]]);
    expect(commands).toEqual([
      ["connect", undefined],
      ["createStream", undefined],
      ["play", "game?token=SECRETTOKEN"],
    ]);
    expect(peer().commands[0]?.values[0]).toMatchObject({ app: "live", tcUrl: expect.stringMatching(/\/live$/) });
  });

  it("passes on media and metadata on a clock that continues beyond 2^32", async () => {
    const { puller, tags, peer } = await pulling(play);
    await puller.start();
    peer().connection.send(dataMessage(1, ["onMetaData", { width: 640 }]));
    sendVideo(peer(), 2 ** 32 - 10);
    sendVideo(peer(), 2 ** 32 + 30);
    await eventually(() => expect(tags).toHaveLength(3));
    expect(tags.map(({ kind, timestampMs }) => [kind, timestampMs])).toEqual([
      ["data", 0],
      ["video", 2 ** 32 - 10],
      ["video", 2 ** 32 + 30],
    ]);
  });

  it.each([
    ["NetStream.Play.StreamNotFound", "FailedOperation.SourceNotFound"],
    ["NetStream.Play.Failed", "FailedOperation.SourceForbidden"],
  ])("fails to start when the server says %s, without a secret", async (code, expected) => {
    const { puller } = await pulling((peer, command) => {
      admit(peer, command);
      if (command.name === "play") peer.status("error", code, `no ${command.values[1] as string}`);
    });
    // SAFETY: any other value lacks the code that is compared below.
    const error = (await puller.start().catch((thrown: unknown) => thrown)) as RoomcastError;
    expect(error).toMatchObject({ code: expected, message: expect.stringContaining(code) });
    expect(error.message).not.toContain("SECRETTOKEN");
  });

  it("fails to start when the server rejects the application", async () => {
    const { puller } = await pulling((peer, command) => {
      const values = [null, { level: "error", code: "NetConnection.Connect.InvalidApp" }];
      peer.connection.sendCommand(0, { name: "_error", transactionId: command.transactionId, values });
    });
    await expect(puller.start()).rejects.toMatchObject({ code: "FailedOperation.SourceNotFound" });
  });

  it("fails to start when the server sends nothing", async () => {
    const { puller } = await pulling(() => undefined, { startTimeoutMs: 50 });
    await expect(puller.start()).rejects.toMatchObject({ code: "FailedOperation.SourceTimeout" });
  });

  it("fails to start when no server listens", async () => {
    const { server, puller } = await pulling(play);
    await server.stop();
    await expect(puller.start()).rejects.toMatchObject({ code: "FailedOperation.SourceUnreachable" });
  });

  it.each([
    ["unpublishes", (peer: ScriptedPeer) => peer.status("status", "NetStream.Play.UnpublishNotify")],
    ["ends the stream", (peer: ScriptedPeer) => peer.connection.send(userControl(USER_EVENT.streamEof, 1))],
    ["closes the connection", (peer: ScriptedPeer) => peer.connection.destroy()],
  ])("reports the source as lost when the server %s", async (_what, leave) => {
    const { puller, ended, peer } = await pulling(play);
    await puller.start();
    leave(peer());
    expect(await ended).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceLost" } });
  });

  it("reports the end of a recorded stream as finished", async () => {
    const { puller, ended, peer } = await pulling(play);
    await puller.start();
    peer().connection.send(dataMessage(1, ["onPlayStatus", { code: "NetStream.Play.Complete" }]));
    expect(await ended).toEqual({ name: "finished" });
  });

  it("reports the source as lost when no media comes", async () => {
    const { puller, ended, peer } = await pulling(play, { silenceTimeoutMs: 50 });
    await puller.start();
    sendVideo(peer(), 0);
    expect(await ended).toMatchObject({
      name: "failed",
      error: { code: "FailedOperation.SourceLost", message: expect.stringContaining("nothing has come for 50 ms") },
    });
  });

  it("holds the server back while it is paused and continues afterwards", async () => {
    const { puller, tags, peer } = await pulling(play);
    await puller.start();
    puller.pause();
    peer().connection.setChunkSize(60_000);
    for (let n = 0; n < 20; n += 1) {
      sendVideo(peer(), n, 1_000_000);
      // Each message is a separate write, which shows how much the kernel's buffers have taken.
      await setImmediate();
    }
    await eventually(() => expect(peer().connection.sentBytes).toBeGreaterThan(1_000_000));
    expect(peer().connection.writableLength).toBeGreaterThan(1_000_000);
    expect(tags).toEqual([]);
    puller.resume();
    await eventually(() => expect(tags).toHaveLength(20));
  });

  it("can be stopped while it starts", async () => {
    const { puller, server } = await pulling(() => undefined);
    const starting = puller.start();
    await eventually(() => expect(server.peers).toHaveLength(1));
    await Promise.all([puller.stop(), expect(starting).rejects.toMatchObject({ code: "FailedOperation.SourceLost" })]);
  });
});
