import type { RoomcastError } from "@roomcast/shared";
import { afterEach, describe, expect, it } from "vitest";
import { eventually } from "../../base/eventually.test-support.ts";
import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { amfEntries, decodeAmf0, encodeAmf0 } from "../../rtmp/amf0.ts";
import { directDial } from "../../rtmp/dial-rtmp.ts";
import { MESSAGE, setPeerBandwidth, USER_EVENT, userControl, windowAckSize } from "../../rtmp/message.ts";
import {
  admit,
  type Script,
  type ScriptedPeer,
  ScriptedRtmpServer,
} from "../../rtmp/scripted-rtmp-server.test-support.ts";
import type { SourceEnd } from "../source.ts";
import { RtmpPuller } from "./rtmp-puller.ts";

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

const play: Script = (peer, command) => {
  admit(peer, command);
  if (command.name === "play") peer.status("status", "NetStream.Play.Start");
};

async function pulling(script: Script, path = "live/game?token=SECRETTOKEN") {
  const server = await ScriptedRtmpServer.start(script);
  cleanUps.push(() => server.stop());
  const tags: FlvTag[] = [];
  const ends: SourceEnd[] = [];
  const puller = new RtmpPuller({
    url: `rtmp://127.0.0.1:${server.port}/${path}`,
    connect: directDial(),
    onTag: (tag) => tags.push(tag),
    onEnd: (end) => ends.push(end),
  });
  cleanUps.push(() => puller.stop());
  const peer = (): ScriptedPeer => {
    const last = server.peers.at(-1);
    if (last === undefined) throw new Error("nobody has connected");
    return last;
  };
  return { server, puller, tags, ends, peer };
}

function send(peer: ScriptedPeer, typeId: number, payload: Buffer | string, timestampMs = 0): void {
  const bytes = typeof payload === "string" ? Buffer.from(payload.replaceAll(" ", ""), "hex") : payload;
  const chunkStreamId = typeId === MESSAGE.video ? 6 : 5;
  peer.connection.send({ chunkStreamId, typeId, streamId: 1, timestampMs, payload: bytes });
}

const sendPicture = (peer: ScriptedPeer) => send(peer, MESSAGE.video, "17 01 000000 aabb");
const text = (value: string) => encodeAmf0([value]).toString("hex");

describe("RtmpPuller with odd messages", () => {
  it.each<[string, number, string]>([
    ["metadata in AMF3 with an AVM+ object", 15, `00 ${text("onMetaData")} 11 0a0b0101`],
    ["AMF3 data without its byte in front", 15, `${text("onTextData")} 11 01`],
    ["an AMF3 command", 17, `00 ${text("onFI")} 00 0000000000000000 05 11 0a0b0101`],
    ["an unreadable command", 20, "11"],
    ["a status that is cut short", 20, `${text("onStatus")} 00 0000000000000000 05 03 0004`],
    ["an AMF3 shared object", 16, "00 0003"],
    ["a shared object", 19, "0001 61 00000000"],
    ["data with a movie clip", 18, `${text("onTextData")} 04`],
    ["data of an unknown type", 18, `${text("onCuePoint")} 7f`],
    ["data that is cut short", 18, `${text("onMetaData")} 08 00000001 0005 77`],
    [
      "data with lists, dates and references",
      18,
      `${text("onCuePoint")} 0a 00000002 05 07 0000 0b 0000000000000000 0000`,
    ],
    ["data with a long string and a typed object", 18, `${text("onTextData")} 0c 00000001 61 10 0001 54 000009`],
    ["data with a list that claims more than there is", 18, `${text("onTextData")} 0a ffffffff 05`],
    ["data that is nested too deeply", 18, `${text("onTextData")} ${"0a00000001".repeat(100)}`],
    ["empty data", 18, ""],
    ["an unknown user control event", 4, "001a 00000001"],
    ["a user control event without a value", 4, "0020"],
    ["a stream that runs dry", 4, "0002 00000001"],
    ["an acknowledgement that is cut short", 3, "00"],
    ["a window of 0", 5, "00000000"],
    ["a bandwidth of 0", 6, "00000000 02"],
    ["an abort of an unknown chunk stream", 2, "00000009"],
    ["a chunk size of 2^31 - 1", 1, "7fffffff"],
    ["a chunk size of 1", 1, "00000001"],
    ["an aggregate that is cut short", 22, "080000ff 00000000 000000 af"],
    ["a message of an unknown type", 99, "0102"],
  ])("passes over %s", async (_what, typeId, hex) => {
    const { puller, tags, ends, peer } = await pulling(play);
    await puller.start();
    if (typeId === MESSAGE.setChunkSize) peer().connection.setChunkSize(Number.parseInt(hex, 16));
    else send(peer(), typeId, hex);
    sendPicture(peer());
    await eventually(() => expect(tags.map(({ kind }) => kind)).toContain("video"));
    expect(ends).toEqual([]);
  });

  it.each([
    ["in AMF3 messages", 15, `00 ${text("onMetaData")} 08 00000001 0005 7769647468 00 4084000000000000 000009`],
    [
      "wrapped as it was published",
      18,
      `${text("@setDataFrame")} ${text("onMetaData")} 03 0005 7769647468 00 4084000000000000 000009`,
    ],
    [
      "in front of a value that cannot be read",
      18,
      `${text("onMetaData")} 03 0005 7769647468 00 4084000000000000 0001 61 11`,
    ],
  ])("reads metadata %s", async (_what, typeId, hex) => {
    const { puller, tags, peer } = await pulling(play);
    await puller.start();
    send(peer(), typeId, hex);
    await eventually(() => expect(tags).toHaveLength(1));
    const [name, entries] = decodeAmf0(tags[0]?.payload ?? Buffer.alloc(0));
    expect([name, { ...amfEntries(entries) }]).toEqual(["onMetaData", { width: 640 }]);
  });

  it("reads enhanced H.264 and AAC, and the first of several tracks", async () => {
    const { puller, tags, peer } = await pulling(play);
    await puller.start();
    send(peer(), MESSAGE.video, "91 61766331 000028 aa", 40);
    send(peer(), MESSAGE.audio, "95 01 6d703461 00 bb", 40);
    send(peer(), MESSAGE.audio, "95 01 6d703461 01 cc", 40);
    send(peer(), MESSAGE.video, "91 68766331 000028 dd", 80);
    await eventually(() => expect(tags).toHaveLength(3));
    expect(tags.map(({ timestampMs, payload }) => [timestampMs, payload.toString("hex")])).toEqual([
      [40, "1701000028aa"],
      [40, "af01bb"],
      [80, "9168766331000028dd"],
    ]);
  });

  it("plays when media comes before any status and the status has no code", async () => {
    const { puller, tags } = await pulling((peer, command) => {
      admit(peer, command);
      if (command.name !== "play") return;
      peer.status("status", "NetStream.Play.Reset");
      peer.connection.sendCommand(1, { name: "onStatus", transactionId: 0, values: [null, {}] });
      sendPicture(peer);
    });
    await puller.start();
    await eventually(() => expect(tags).toHaveLength(1));
  });

  it.each([
    ["an error without a code", "error", ""],
    ["an unknown error", "error", "NetStream.Seek.Failed"],
    ["a publisher that comes back", "status", "NetStream.Play.PublishNotify"],
    ["a warning", "warning", "NetStream.Play.InsufficientBW"],
  ])("continues after %s", async (_what, level, code) => {
    const { puller, tags, ends, peer } = await pulling(play);
    await puller.start();
    sendPicture(peer());
    peer().status(level, code);
    sendPicture(peer());
    await eventually(() => expect(tags).toHaveLength(2));
    expect(ends).toEqual([]);
  });

  it("reports a stream that disappears while it plays as lost, which is retried", async () => {
    const { puller, ends, peer } = await pulling(play);
    await puller.start();
    peer().status("error", "NetStream.Play.StreamNotFound");
    await eventually(() => expect(ends).toMatchObject([{ error: { code: "FailedOperation.SourceLost" } }]));
  });

  it("answers pings", async () => {
    const { puller, peer } = await pulling(play);
    await puller.start();
    // By then all earlier messages of the player have arrived.
    await eventually(() => expect(peer().commands.at(-1)?.name).toBe("play"));
    const before = peer().connection.receivedBytes;
    peer().connection.send(userControl(USER_EVENT.pingRequest, 77));
    peer().connection.send(userControl(USER_EVENT.pingRequest, 78));
    await eventually(() => expect(peer().connection.receivedBytes - before).toBeGreaterThanOrEqual(2 * (8 + 6)));
  });

  it("acknowledges received bytes in the window that the server sets", async () => {
    const { puller, peer } = await pulling(play);
    await puller.start();
    peer().connection.send(setPeerBandwidth(5000));
    peer().connection.send(windowAckSize(1000));
    send(peer(), MESSAGE.video, Buffer.alloc(4000, 0x17));
    await eventually(() => expect(peer().connection.acknowledgedBytes).toBeGreaterThan(4000));
  });
});

describe("RtmpPuller with a server's error text", () => {
  it.each([
    ["live/0123-SECRET-4567", "no stream 0123-SECRET-4567"],
    ["live?token=SECRET%2FTOKEN/x", "bad token SECRET/TOKEN"],
    ["live/x?sign=SECRETSIGN", "bad x?sign=SECRETSIGN"],
  ])("repeats the text for %s without a secret", async (path, words) => {
    const { puller } = await pulling((peer, command) => {
      admit(peer, command);
      if (command.name === "play") peer.status("error", "NetStream.Play.Failed", words);
    }, path);
    // SAFETY: any other value lacks the code that is compared below.
    const error = (await puller.start().catch((thrown: unknown) => thrown)) as RoomcastError;
    expect(error.code).toBe("FailedOperation.SourceForbidden");
    expect(error.message).toContain(`NetStream.Play.Failed: ${words.split(" ")[0]}`);
    expect(error.message).not.toMatch(/SECRET/);
  });
});

describe("RtmpPuller with the parts of a URL", () => {
  const played = (peer: ScriptedPeer) => [
    amfEntries(peer.commands[0]?.values[0])?.["app"],
    peer.commands.find(({ name }) => name === "play")?.values[1],
  ];

  it.each([
    ["live?vhost=a.com&token=b/x", "live?vhost=a.com&token=b", "x"],
    ["vod/mp4:dir/sub/f.mp4", "vod", "mp4:dir/sub/f.mp4"],
    ["live/_definst_/x?q=%2F", "live/_definst_", "x?q=%2F"],
  ])("asks for %s like other players", async (path, app, name) => {
    const { puller, server, peer } = await pulling(play, path);
    await puller.start();
    expect(played(peer())).toEqual([app, name]);
    expect(amfEntries(peer().commands[0]?.values[0])?.["tcUrl"]).toBe(`rtmp://127.0.0.1:${server.port}/${app}`);
  });

  it.each<[string, (peer: ScriptedPeer, transactionId: number) => void]>([
    [
      "rejects the app",
      (peer, transactionId) => {
        const values = [null, { level: "error", code: "NetConnection.Connect.Rejected", description: "no app" }];
        peer.connection.sendCommand(0, { name: "_error", transactionId, values });
      },
    ],
    ["closes at the app", (peer) => peer.connection.destroy()],
  ])("splits the URL in another way when the server %s", async (_what, reject) => {
    const { puller, server } = await pulling((peer, command) => {
      const app = amfEntries(command.values[0])?.["app"];
      if (command.name === "connect" && app !== "live") reject(peer, command.transactionId);
      else play(peer, command);
    }, "live/inst/x?token=SECRETTOKEN");
    await puller.start();
    expect(server.peers.map((peer) => played(peer))).toEqual([
      ["live/inst", undefined],
      ["live", "inst/x?token=SECRETTOKEN"],
    ]);
  });

  it("splits the URL in another way when the server has no such stream", async () => {
    const { puller, server } = await pulling((peer, command) => {
      admit(peer, command);
      if (command.name !== "play") return;
      if (command.values[1] === "mp4:f.mp4") peer.status("status", "NetStream.Play.Start");
      else peer.status("error", "NetStream.Play.StreamNotFound");
    }, "vod/f.mp4");
    await puller.start();
    expect(server.peers.map((peer) => played(peer)[1])).toEqual(["f.mp4", "mp4:f.mp4"]);
  });

  it("names the usual app and stream, without a secret, when the server knows none", async () => {
    const { puller, server } = await pulling((peer, command) => {
      admit(peer, command);
      if (command.name === "play") peer.status("error", "NetStream.Play.StreamNotFound", "no x?token=SECRETTOKEN");
    }, "live/inst/x?token=SECRETTOKEN");
    // SAFETY: any other value lacks the code that is compared below.
    const error = (await puller.start().catch((thrown: unknown) => thrown)) as RoomcastError;
    expect(error.code).toBe("FailedOperation.SourceNotFound");
    expect(error.message).toContain('app "live/inst", stream "x?…"');
    expect(`${error.message} ${error.stack}`).not.toContain("SECRETTOKEN");
    expect(server.peers).toHaveLength(2);
  });

  it("asks only once when the server refuses the stream", async () => {
    const { puller, server } = await pulling((peer, command) => {
      admit(peer, command);
      if (command.name === "play") peer.status("error", "NetStream.Play.Failed");
    }, "live/inst/x");
    await expect(puller.start()).rejects.toMatchObject({ code: "FailedOperation.SourceForbidden" });
    expect(server.peers).toHaveLength(1);
  });
});
