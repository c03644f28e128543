import { RoomcastError, shownUrl } from "@roomcast/shared";
import type { Egress, EgressResponse } from "../../egress/egress.ts";
import { egressError } from "../../egress/egress-error.ts";
import type { OpenRange, RangeResponse } from "./range-stream.ts";

/** Asks for parts of a file over HTTP, through the egress guard. */
export function httpRange(egress: Pick<Egress, "fetch">, url: string): OpenRange {
  return async (startByte, signal) => {
    const response = await egress.fetch(url, {
      headers: { range: `bytes=${startByte}-`, "accept-encoding": "identity" },
      signal,
    });
    // The body may fail while nobody reads it; who reads it then is told.
    response.body.on("error", () => {});
    const problem = refusalOf(response.status, { url, startByte });
    if (problem !== undefined) {
      response.body.destroy();
      throw problem;
    }
    return readHeaders(response, url);
  };
}

function refusalOf(
  status: number,
  { url, startByte }: { readonly url: string; readonly startByte: number },
): RoomcastError | undefined {
  const answered = `${shownUrl(url)} answered with HTTP status ${status}`;
  if (status === 200 || status === 206) return undefined;
  if (status === 404 || status === 410) {
    return new RoomcastError("FailedOperation.SourceNotFound", `${answered}: there is no such file. Check VideoSrc.`);
  }
  if (status === 401 || status === 403 || status === 451) {
    const message = `${answered}: access is refused. Check that VideoSrc is public, or its signature still valid.`;
    return new RoomcastError("FailedOperation.SourceForbidden", message);
  }
  // A range from the first byte on fits every file that has one (RFC 9110, section 15.5.17).
  if (status === 416 && startByte === 0) {
    return new RoomcastError("FailedOperation.SourceNotMedia", "The source is empty (0 bytes).");
  }
  if (status === 416) {
    return new RoomcastError("FailedOperation.SourceTruncated", `${answered}: the file is shorter than it should be.`);
  }
  if (status === 408 || status === 504) return new RoomcastError("FailedOperation.SourceTimeout", `${answered}.`);
  return new RoomcastError("FailedOperation.SourceUnreachable", `${answered} instead of the file.`);
}

function readHeaders({ status, headers, body, url: finalUrl }: EgressResponse, url: string): RangeResponse {
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(text(headers["content-range"]) ?? "");
  const length = numberOf(text(headers["content-length"]));
  const partial = status === 206 && range !== null;
  return {
    startByte: partial ? Number(range[1]) : 0,
    totalBytes: partial ? numberOf(range[2]) : length,
    seekable: partial || text(headers["accept-ranges"]) === "bytes",
    validator: text(headers["etag"]) ?? text(headers["last-modified"]) ?? null,
    body: chunksOf(body, new URL(finalUrl === "" ? url : finalUrl).host),
  };
}

async function* chunksOf(body: EgressResponse["body"], host: string): AsyncGenerator<Buffer, undefined> {
  try {
    for await (const chunk of body) yield chunk;
  } catch (thrown) {
    throw egressError(thrown, host);
  } finally {
    body.destroy();
  }
}

function text(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

function numberOf(digits: string | undefined): number | null {
  return digits !== undefined && /^\d{1,15}$/.test(digits) ? Number(digits) : null;
}
