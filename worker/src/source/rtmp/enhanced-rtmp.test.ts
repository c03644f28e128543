import { pino } from "pino";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../../base/eventually.test-support.ts";
import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { PLAIN_AAC, PLAIN_H264, sampleFlv } from "../../media/flv/sample-flv.test-support.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { directDial } from "../../rtmp/dial-rtmp.ts";
import { MESSAGE } from "../../rtmp/message.ts";
import { admit, ScriptedRtmpServer } from "../../rtmp/scripted-rtmp-server.test-support.ts";
import { openRtmpSource } from "./rtmp-source.ts";

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

/** Converts a tag into the messages of a sender of enhanced RTMP. */
type Enhance = (tag: FlvTag) => readonly Buffer[];

const isHeader = ({ payload }: FlvTag) => payload[1] === 0;

/** Writes the FourCC header in place of the classic one. */
const byFourCc: Enhance = (tag) => {
  if (tag.kind === "data") return [];
  const packetType = isHeader(tag) ? 0 : 1;
  const { payload } = tag;
  if (tag.kind === "audio") {
    return [Buffer.concat([Buffer.of(0x90 | packetType), Buffer.from("mp4a"), payload.subarray(2)])];
  }
  const head = 0x80 | ((payload[0] ?? 0) & 0x70) | packetType;
  return [Buffer.concat([Buffer.of(head), Buffer.from("avc1"), payload.subarray(isHeader(tag) ? 5 : 2)])];
};

/** Sends each tag twice: in one message as track 0, in the next one as track 1. */
const asTracks: Enhance = (tag) =>
  byFourCc(tag).flatMap((body) => {
    const head = body.readUInt8(0);
    const multitrack = (head & 0xf0) | (tag.kind === "video" ? 6 : 5);
    return [0, 1].map((trackId) =>
      Buffer.concat([Buffer.of(multitrack, head & 0x0f), body.subarray(1, 5), Buffer.of(trackId), body.subarray(5)]),
    );
  });

describe("openRtmpSource with enhanced RTMP", () => {
  let plain: FlvTag[];

  beforeAll(async () => {
    plain = await sampleFlv({ seconds: 3, fps: 25, video: PLAIN_H264, audio: PLAIN_AAC });
  });

  it.each([
    ["H.264 and AAC by their FourCC", byFourCc],
    ["the first of two tracks", asTracks],
  ])("copies %s like a classic stream", async (_what, enhance) => {
    const server = await ScriptedRtmpServer.start((peer, command) => {
      admit(peer, command);
      if (command.name !== "play") return;
      for (const tag of plain) {
        const typeId = tag.kind === "video" ? MESSAGE.video : MESSAGE.audio;
        for (const payload of enhance(tag)) {
          peer.connection.send({ chunkStreamId: 6, typeId, streamId: 1, timestampMs: tag.timestampMs, payload });
        }
      }
    });
    cleanUps.push(() => server.stop());
    const source = await openRtmpSource({
      url: `rtmp://127.0.0.1:${server.port}/live/x`,
      askedLive: true,
      connect: directDial(),
      log: pino({ level: "silent" }),
      transcodeFlv: () => Promise.reject(new Error("nothing is to be transcoded")),
    });
    cleanUps.push(() => source.close());
    expect(source.info).toMatchObject({ width: 320, height: 180, plan: { video: "copy", audio: "copy" } });
    const tags: MediaTag[] = [];
    const last = plain.findLast(({ kind }) => kind === "video");
    await eventually(() => {
      for (let tag = source.shift(); tag !== undefined; tag = source.shift()) tags.push(tag);
      expect(tags.findLast(({ kind }) => kind === "video")?.payload).toEqual(last?.payload);
    });
    const bodies = plain.map(({ payload }) => payload.toString("hex"));
    expect(tags.filter(({ payload }) => !bodies.includes(payload.toString("hex")))).toEqual([]);
  });
});
