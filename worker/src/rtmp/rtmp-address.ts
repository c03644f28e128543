/** The parts of a URL that RTMP commands need. `streamKey` and everything derived from it is secret. */
export interface RtmpAddress {
  /** The host name or IP address to connect to, without brackets for IPv6. */
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** The `app` of the connect command. It includes parameters if the URL has some before the stream name. */
  readonly app: string;
  /** The `tcUrl` of the connect command: the URL without the user and without the stream name. */
  readonly tcUrl: string;
  /** The stream name for publish and play, with the URL's query. Empty if the URL names only an app. */
  readonly streamKey: string;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { "rtmp:": 1935, "rtmps:": 443 };

/** The app and the stream name, byte for byte as in the URL. */
interface Split {
  readonly app: string;
  readonly name: string;
}

/**
 * Splits an rtmp(s) URL as ffmpeg (libavformat/rtmpproto.c) and players do: `/app/key`, or `/app/instance/key` if there are
 * three or more segments. The query belongs to the key. Pure.
 *
 * @returns null if the string is not an rtmp(s) URL with a host and an app
 */
export function parseRtmpUrl(text: string): RtmpAddress | null {
  return rtmpAddresses(text)[0] ?? null;
}

/**
 * Returns the ways in which servers may expect a URL to be split, the most likely first. If a server does not know the app or
 * the stream of the first way, it may know those of the next. Pure.
 *
 * @returns an empty list if the string is not an rtmp(s) URL with a host and an app
 */
export function rtmpAddresses(text: string): readonly RtmpAddress[] {
  const trimmed = text.trim();
  const url = URL.parse(trimmed);
  const defaultPort = url === null ? undefined : DEFAULT_PORTS[url.protocol];
  // The path is not taken from the parsed URL: the parser encodes and shortens paths, while servers compare names byte for
  // byte.
  const path = /^rtmps?:\/\/[^/?#]*\/(.+)$/is.exec(trimmed)?.[1];
  if (url === null || defaultPort === undefined || url.hostname === "" || path === undefined) return [];
  // oxlint-disable-next-line no-control-regex -- Line ends and other control characters are never part of a name.
  if (/[\0-\x1f\x7f]/.test(path)) return [];
  const server = {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? defaultPort : Number(url.port),
    tls: url.protocol === "rtmps:",
  };
  return distinct(splits(path)).map(({ app, name }) => ({
    ...server,
    app,
    tcUrl: `${url.protocol}//${url.host}/${app}`,
    streamKey: name,
  }));
}

function splits(path: string): Split[] {
  const mark = path.indexOf("?");
  const query = mark === -1 ? "" : path.slice(mark);
  const segments = (mark === -1 ? path : path.slice(0, mark)).split("/");
  const [first = ""] = segments;
  if (first === "") return [];
  const at = (appSegments: number): Split => ({
    app: segments.slice(0, appSegments).join("/"),
    name: `${segments.slice(appSegments).join("/")}${query}`,
  });
  const inFront = parametersInFront(path, mark);
  if (segments.length === 1)
    return inFront === null
      ? [
          { app: path, name: "" },
          { app: "", name: path },
        ]
      : [inFront];
  if (segments.at(-1) === "" && query === "" && segments.length === 3) {
    // The trailing slash most likely does not belong to the stream name.
    return [{ app: first, name: segments[1] ?? "" }, at(2)];
  }
  const usual = at(usualAppSegments(segments));
  const other = segments.length > 2 ? [at(segments.length - (segments.length > 3 ? 1 : 2)), at(1)] : [];
  return [usual, ...typed(usual, query), ...other, ...(inFront === null ? [] : [inFront])];
}

/**
 * Returns 2 for `/app/instance/key`, or 1 if a type such as `mp4:` shows that the second segment belongs to the name.
 */
function usualAppSegments(segments: readonly string[]): number {
  if (segments[0] === "ondemand") return 1;
  return segments.length > 2 && segments[1]?.includes(":") !== true ? 2 : 1;
}

/**
 * Splits a path such as `live?vhost=a.com&token=b/stream?sign=c/d`, in which parameters of the app come before the stream name.
 * Returns null if there are none.
 */
function parametersInFront(path: string, mark: number): Split | null {
  if (mark === -1) return null;
  const second = path.indexOf("?", mark + 1);
  const slash = path.lastIndexOf("/", second === -1 ? path.length : second);
  const name = path.slice(slash + 1);
  return slash < mark || name === "" ? null : { app: path.slice(0, slash), name };
}

/**
 * Returns the names under which Flash servers expect recorded files: MP4 files with their type in front, and FLV files without
 * their extension.
 */
function typed({ app, name }: Split, query: string): Split[] {
  const file = name.slice(0, name.length - query.length);
  if (file.includes(":")) return [];
  if (/\.(?:mp4|f4v)$/i.test(file)) return [{ app, name: `mp4:${name}` }];
  return /.\.flv$/i.test(file) ? [{ app, name: `${file.slice(0, -".flv".length)}${query}` }] : [];
}

function distinct(found: readonly Split[]): Split[] {
  return found.filter(
    ({ app, name }, index) => found.findIndex((other) => other.app === app && other.name === name) === index,
  );
}

/** The length from which a stream name is not shown, because it may be a key. */
const MAX_READABLE_NAME = 8;

export function isReadableName(name: string): boolean {
  return name.length < MAX_READABLE_NAME;
}

/** Returns the app and the stream for an error text, without parameters and without a name that may be a key. */
export function shownStream({ app, streamKey }: RtmpAddress): string {
  const path = streamKey.replace(/\?.*$/s, "");
  const nameAt = path.lastIndexOf("/") + 1;
  const name = isReadableName(path.slice(nameAt)) ? path.slice(nameAt) : "…";
  const query = streamKey.includes("?") ? "?…" : "";
  return `app "${app.replace(/\?.*$/s, "?…")}", stream "${path.slice(0, nameAt)}${name}${query}"`;
}
