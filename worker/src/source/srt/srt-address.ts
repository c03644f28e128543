import { RoomcastError } from "@roomcast/shared";

/** Where an SRT source is, and what it asks of who calls. */
export interface SrtAddress {
  /** A host name or an address literal; IPv6 in brackets. */
  readonly host: string;
  readonly port: number;
  /** Names the stream; often holds a signature. */
  readonly streamId: string | undefined;
  readonly passphrase: string | undefined;
  /** Of the key that the passphrase makes, bytes; undefined: as the server has it. */
  readonly keyLength: number | undefined;
  /** How long packets may be waited for, ms; undefined: the server's. */
  readonly latencyMs: number | undefined;
}

/** SRT's own 3 s are little for a server on another continent that is woken by the call. */
const CONNECT_TIMEOUT_MS = 5_000;
const LONGEST_LATENCY_MS = 10_000;
/** SRT's own limits (SRT API, SRTO_STREAMID and SRTO_PASSPHRASE). */
const LONGEST_STREAM_ID = 512;
const PASSPHRASE_LENGTH = { shortest: 10, longest: 79 };
const KEY_LENGTHS = [16, 24, 32];

/**
 * Reads `srt://host:port?streamid=…&passphrase=…&pbkeylen=…&latency=…`. Other parameters tune a caller in ways that are
 * not needed here, and are passed over. Pure.
 *
 * @throws RoomcastError `FailedOperation.SourceUnsupported` where it cannot be called so; never with a secret in it.
 */
export function parseSrtAddress(text: string): SrtAddress {
  const url = URL.parse(text);
  if (url === null || url.protocol !== "srt:" || url.hostname === "" || url.port === "") {
    throw unsupported("an SRT address is srt://host:port");
  }
  const given = (name: string) => url.searchParams.get(name) ?? undefined;
  if ((given("mode") ?? "caller") !== "caller") {
    throw unsupported("Roomcast calls an SRT server (mode=caller) and waits for no call");
  }
  const streamId = plainText("streamid", given("streamid"));
  const passphrase = plainText("passphrase", given("passphrase"));
  if (streamId !== undefined && Buffer.byteLength(streamId) > LONGEST_STREAM_ID) {
    throw unsupported(`streamid has at most ${LONGEST_STREAM_ID} bytes`);
  }
  const { shortest, longest } = PASSPHRASE_LENGTH;
  const length = Buffer.byteLength(passphrase ?? "");
  if (passphrase !== undefined && (length < shortest || length > longest)) {
    throw unsupported(`passphrase has ${shortest} to ${longest} bytes`);
  }
  const keyLength = wholeNumber(given("pbkeylen"));
  if (keyLength !== undefined && !KEY_LENGTHS.includes(keyLength)) {
    throw unsupported(`pbkeylen is one of ${KEY_LENGTHS.join(", ")}`);
  }
  const latencyMs = wholeNumber(given("latency"));
  if (latencyMs !== undefined && !(latencyMs <= LONGEST_LATENCY_MS)) {
    throw unsupported(`latency is a number of milliseconds up to ${LONGEST_LATENCY_MS}`);
  }
  return { host: url.hostname, port: Number(url.port), streamId, passphrase, keyLength, latencyMs };
}

/**
 * The list that ffmpeg reads from its stdin (its concat demuxer's format): in its arguments, streamid and passphrase
 * would be seen by everybody on the machine. Pure.
 *
 * @param address the judged one, which is dialled as it is.
 */
export function srtPlaylist(
  { port, streamId, passphrase, keyLength, latencyMs }: SrtAddress,
  address: { readonly address: string; readonly family: 4 | 6 },
): string {
  const host = address.family === 6 ? `[${address.address}]` : address.address;
  const options = {
    mode: "caller",
    connect_timeout: CONNECT_TIMEOUT_MS,
    // What is sent may be no other list, which would lead elsewhere.
    format_whitelist: "mpegts",
    protocol_whitelist: "srt",
    streamid: streamId,
    passphrase,
    pbkeylen: keyLength,
    // ffmpeg counts it in microseconds.
    latency: latencyMs === undefined ? undefined : latencyMs * 1000,
  };
  const lines = Object.entries(options).flatMap(([name, value]) => {
    return value === undefined ? [] : [`option ${name} ${quoted(String(value))}`];
  });
  return ["ffconcat version 1.0", `file ${quoted(`srt://${host}:${port}`)}`, ...lines, ""].join("\n");
}

/** ffmpeg's quoting: all is plain between single quotes, which themselves stand outside of them. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Control characters would end a line of the list, and begin another one. */
function plainText(name: string, text: string | undefined): string | undefined {
  if (text !== undefined && /\p{Cc}/u.test(text)) throw unsupported(`${name} holds no control characters`);
  return text === "" ? undefined : text;
}

function wholeNumber(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  return /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
}

function unsupported(why: string): RoomcastError {
  return new RoomcastError(
    "FailedOperation.SourceUnsupported",
    `The SRT address of the source cannot be used: ${why}.`,
  );
}
