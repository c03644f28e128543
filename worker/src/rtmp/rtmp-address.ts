/** What the commands of an RTMP connection need of a URL. `streamKey` and everything made of it is a secret. */
export interface RtmpAddress {
  /** Name or address to connect to; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** `app` of the connect command. */
  readonly app: string;
  /** `tcUrl` of the connect command: without user, key and query. */
  readonly tcUrl: string;
  /** Stream name of publish and play, with the URL's query. */
  readonly streamKey: string;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { "rtmp:": 1935, "rtmps:": 443 };

/**
 * Splits an rtmp(s) URL as players do: `/app/key`, or `/app/instance/key` where there are three segments or more; the
 * query belongs to the key. Pure.
 *
 * @returns null for what is no rtmp(s) URL with a host and a stream name.
 */
export function parseRtmpUrl(text: string): RtmpAddress | null {
  const url = URL.parse(text);
  const defaultPort = url === null ? undefined : DEFAULT_PORTS[url.protocol];
  if (url === null || defaultPort === undefined || url.hostname === "") return null;
  const segments = url.pathname.split("/").slice(1);
  const appSegments = Math.min(2, segments.length - 1);
  const app = segments.slice(0, appSegments).join("/");
  const name = segments.slice(appSegments).join("/");
  if (name === "") return null;
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? defaultPort : Number(url.port),
    tls: url.protocol === "rtmps:",
    app,
    tcUrl: `${url.protocol}//${url.host}/${app}`,
    streamKey: `${name}${url.search}`,
  };
}
