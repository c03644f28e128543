import type { HttpClient } from "../http/http-client.ts";
import type { OpenRange } from "./range-stream.ts";

/** Asks for a file on a server, from a byte to its end. */
export function httpRange(http: Pick<HttpClient, "open">, url: string): OpenRange {
  return async (startByte, signal) => await http.open(url, { signal, range: { start: startByte } });
}
