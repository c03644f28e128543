import { RoomcastError } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { type OpenRange, RangeStream } from "./range-stream.ts";

const FILE = Buffer.from(Array.from({ length: 1024 * 1024 }, (_, index) => (index * 7919) & 0xff));

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Makes a server that sends the file in chunks of one size, and records the start byte of each request. */
function serve(chunkBytes: number, bytes = FILE) {
  const requests: number[] = [];
  const openRange: OpenRange = (startByte) => {
    requests.push(startByte);
    const body = inChunks(bytes.subarray(startByte), chunkBytes);
    return Promise.resolve({ startByte, totalBytes: bytes.length, seekable: true, body });
  };
  return { requests, openRange };
}

const neverAnswer: OpenRange = (_startByte, signal) =>
  new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error("aborted")));
  });

describe("RangeStream", () => {
  it.each([1, 3, 1000, 65_536])("gives the same bytes when they arrive in chunks of %i", async (chunkBytes) => {
    const stream = new RangeStream(serve(chunkBytes));
    const [head, rest] = [Buffer.alloc(10), Buffer.alloc(5000)];
    expect(await stream.readInto(head)).toBe(true);
    await stream.seek(20);
    expect(await stream.readInto(rest, 100)).toBe(true);
    expect(head).toEqual(FILE.subarray(0, 10));
    expect(rest.subarray(100)).toEqual(FILE.subarray(20, 4920));
    expect(stream.position).toBe(4920);
    await stream.close();
  });

  it("reads over a short gap, and makes a new request for a long one or to go back", async () => {
    const { requests, openRange } = serve(65_536);
    const stream = new RangeStream({ openRange });
    const bytes = Buffer.alloc(10);
    for (const position of [0, 100_000, 900_000, 50]) {
      await stream.seek(position);
      expect(await stream.readInto(bytes)).toBe(true);
      expect(bytes).toEqual(FILE.subarray(position, position + 10));
    }
    expect(requests).toEqual([0, 900_000, 50]);
    await stream.close();
  });

  it("returns false when the file ends before the buffer is full", async () => {
    const stream = new RangeStream(serve(65_536, FILE.subarray(0, 100)));
    expect(await stream.readInto(Buffer.alloc(101))).toBe(false);
    await stream.close();
  });

  it("fails at once when another try cannot help", async () => {
    let requests = 0;
    const openRange: OpenRange = () => {
      requests += 1;
      return Promise.reject(new RoomcastError("FailedOperation.SourceNotFound", "gone"));
    };
    const stream = new RangeStream({ openRange });
    await expect(stream.readInto(Buffer.alloc(1))).rejects.toMatchObject({ code: "FailedOperation.SourceNotFound" });
    expect(requests).toBe(1);
  });

  it("rejects a pending read when it is closed", async () => {
    const stream = new RangeStream({ openRange: neverAnswer });
    const reading = stream.readInto(Buffer.alloc(1));
    await Promise.all([stream.close(), expect(reading).rejects.toThrow("aborted")]);
  });
});
