import { RoomcastError, shownUrl } from "@roomcast/shared";

/** What an HTTP status of a source means to a task; undefined: it is fine. Pure. */
export function upstreamStatusError(status: number, url: string): RoomcastError | undefined {
  if (status >= 200 && status < 300) return undefined;
  const what = shownUrl(url);
  if (status === 404 || status === 410) {
    return new RoomcastError("FailedOperation.SourceNotFound", `${what} does not exist (HTTP ${status}).`);
  }
  if (status === 401 || status === 403 || status === 451) {
    return new RoomcastError(
      "FailedOperation.SourceForbidden",
      `${what} may not be read (HTTP ${status}): is its signature or password right and not expired?`,
    );
  }
  const again = status === 429 || status >= 500 ? " Its server may be overloaded; try again later." : "";
  return new RoomcastError("FailedOperation.SourceUnreachable", `${what} answers with HTTP ${status}.${again}`);
}
