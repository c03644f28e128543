import { describe, expect, it } from "vitest";
import {
  acknowledgement,
  commandMessage,
  dataMessage,
  MESSAGE,
  type RtmpMessage,
  readCommand,
  readControlNumber,
  readData,
  readUserControl,
  setChunkSize,
  setPeerBandwidth,
  USER_EVENT,
  userControl,
  windowAckSize,
} from "./message.ts";
import { RtmpProtocolError } from "./rtmp-protocol-error.ts";

const message = (typeId: number, hex: string): RtmpMessage => ({
  chunkStreamId: 3,
  typeId,
  streamId: 0,
  timestampMs: 0,
  payload: Buffer.from(hex, "hex"),
});

describe("RTMP messages", () => {
  it.each([
    ["Set Chunk Size", setChunkSize(60_000), 1, "0000ea60"],
    ["Acknowledgement past 2^32", acknowledgement(2 ** 32 + 5), 3, "00000005"],
    ["Window Acknowledgement Size", windowAckSize(2_500_000), 5, "002625a0"],
    ["Set Peer Bandwidth", setPeerBandwidth(2_500_000), 6, "002625a002"],
    ["Ping Response", userControl(USER_EVENT.pingResponse, 77), 4, "00070000004d"],
    ["Set Buffer Length", userControl(USER_EVENT.setBufferLength, 1, 1000), 4, "000300000001000003e8"],
  ])("writes %s on the control stream", (_what, written, typeId, hex) => {
    expect(written).toMatchObject({ chunkStreamId: 2, streamId: 0, typeId });
    expect(written.payload.toString("hex")).toBe(hex);
  });

  it("reads the commands that it writes", () => {
    const command = { name: "publish", transactionId: 5, values: [null, "room", "live"] };
    expect(readCommand(commandMessage(1, command))).toEqual(command);
  });

  it("reads a command inside an AMF3 command message", () => {
    const plain = commandMessage(1, { name: "play", transactionId: 0, values: [null] });
    const wrapped = { ...plain, typeId: MESSAGE.commandAmf3, payload: Buffer.concat([Buffer.of(0), plain.payload]) };
    expect(readCommand(wrapped)).toEqual({ name: "play", transactionId: 0, values: [null] });
  });

  it("reads the data that it writes", () => {
    expect(readData(dataMessage(1, ["onMetaData", { width: 640 }]))).toEqual(["onMetaData", { width: 640 }]);
  });

  it("distinguishes commands, data and media", () => {
    expect(readCommand(message(MESSAGE.audio, "af01"))).toBeNull();
    expect(readData(message(MESSAGE.video, "1701"))).toBeNull();
  });

  it("reads the readable beginning of a command", () => {
    const name = "0200086f6e537461747573";
    expect(readCommand(message(MESSAGE.commandAmf3, `00${name}0000000000000000000511`))).toEqual({
      name: "onStatus",
      transactionId: 0,
      values: [null],
    });
  });

  it("reads AMF3 data messages with and without the byte in front", () => {
    for (const front of ["00", ""]) {
      expect(readData(message(MESSAGE.dataAmf3, `${front}0200016111`))).toEqual(["a"]);
    }
  });

  it.each([
    ["a command without a name", () => readCommand(message(MESSAGE.commandAmf0, "05"))],
    ["an empty command", () => readCommand(message(MESSAGE.commandAmf3, ""))],
    ["a user control event that is cut short", () => readUserControl(message(MESSAGE.userControl, "0006"))],
  ])("ignores %s", (_what, reading) => {
    expect(reading()).toBeNull();
  });

  it("rejects a control number that is cut short with the typed error", () => {
    expect(() => readControlNumber(message(MESSAGE.setChunkSize, "0001"))).toThrow(RtmpProtocolError);
  });
});
