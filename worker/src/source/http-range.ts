import { RoomcastError } from "@roomcast/shared";
import type { Egress } from "../egress/egress.ts";
import { egressError } from "../egress/egress-error.ts";
import { upstreamStatusError } from "../egress/upstream-status-error.ts";
import type { OpenRange, RangeResponse } from "./mp4/range-stream.ts";

/** Parts of a file over HTTP, through the egress guard. */
export function httpRange(egress: Egress, url: string): OpenRange {
  return async (startByte, signal) => {
    const headers = { accept: "*/*", "accept-encoding": "identity", range: `bytes=${startByte}-` };
    const { status, headers: answered, body, url: from } = await egress.fetch(url, { headers, signal });
    const failure = upstreamStatusError(status, url);
    if (failure !== undefined) {
      body.once("error", () => {}).destroy();
      throw failure;
    }
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(textOf(answered["content-range"]) ?? "");
    return {
      ...extent(status, range, textOf(answered["content-length"])),
      seekable: status === 206 || textOf(answered["accept-ranges"]) === "bytes",
      validator: textOf(answered["etag"]) ?? textOf(answered["last-modified"]) ?? null,
      body: chunksOf(body, new URL(from).host, signal),
    };
  };
}

function extent(
  status: number,
  range: RegExpExecArray | null,
  length: string | undefined,
): Pick<RangeResponse, "startByte" | "totalBytes"> {
  if (status === 206) {
    if (range === null) throw new RoomcastError("FailedOperation.SourceUnreachable", "The server sends broken ranges.");
    return { startByte: Number(range[1]), totalBytes: range[2] === "*" ? null : Number(range[2]) };
  }
  return { startByte: 0, totalBytes: length === undefined ? null : Number(length) };
}

async function* chunksOf(body: AsyncIterable<unknown>, host: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    // SAFETY: the body of an undici response gives Buffers unless an encoding is set.
    yield* body as AsyncIterable<Buffer>;
  } catch (error) {
    signal.throwIfAborted();
    throw egressError(error, host);
  }
}

function textOf(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}
