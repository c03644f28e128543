import { RoomcastError } from "@roomcast/shared";

/** The address of an SRT source, with the parameters that its server requires. */
export interface SrtAddress {
  /** A host name or an address literal; IPv6 in brackets. */
  readonly host: string;
  readonly port: number;
  /** The name of the stream, which often contains a signature. */
  readonly streamId: string | undefined;
  readonly passphrase: string | undefined;
  /** The length of the key that is derived from the passphrase, bytes; undefined if the server decides. */
  readonly keyLength: number | undefined;
  /** The longest wait for a lost packet, ms; undefined if the server decides. */
  readonly latencyMs: number | undefined;
}

/**
 * The longest time to connect, ms. The default of SRT, 3 s, is too short for a distant server that starts on demand.
 */
const CONNECT_TIMEOUT_MS = 5_000;
const LONGEST_LATENCY_MS = 10_000;
/** The limits of SRT (SRT API, SRTO_STREAMID and SRTO_PASSPHRASE). */
const LONGEST_STREAM_ID = 512;
const PASSPHRASE_LENGTH = { shortest: 10, longest: 79 };
const KEY_LENGTHS = [16, 24, 32];

/**
 * Reads an address such as `srt://host:port?streamid=…&passphrase=…&pbkeylen=…&latency=…`. All parameters except `mode`
 * and these are ignored. Pure.
 *
 * @throws RoomcastError `FailedOperation.SourceUnsupported` if the address cannot be used; its message never contains
 *   a secret.
 */
export function parseSrtAddress(text: string): SrtAddress {
  const url = URL.parse(text);
  if (url === null || url.protocol !== "srt:" || url.hostname === "" || url.port === "") {
    throw unsupported("expected srt://host:port");
  }
  const given = (name: string) => url.searchParams.get(name) ?? undefined;
  if ((given("mode") ?? "caller") !== "caller") {
    throw unsupported("Roomcast connects to an SRT server (mode=caller) and cannot wait for a connection");
  }
  const streamId = plainText("streamid", given("streamid"));
  const passphrase = plainText("passphrase", given("passphrase"));
  if (streamId !== undefined && Buffer.byteLength(streamId) > LONGEST_STREAM_ID) {
    throw unsupported(`streamid must have at most ${LONGEST_STREAM_ID} bytes`);
  }
  const { shortest, longest } = PASSPHRASE_LENGTH;
  const length = Buffer.byteLength(passphrase ?? "");
  if (passphrase !== undefined && (length < shortest || length > longest)) {
    throw unsupported(`passphrase must have ${shortest} to ${longest} bytes`);
  }
  const keyLength = wholeNumber(given("pbkeylen"));
  if (keyLength !== undefined && !KEY_LENGTHS.includes(keyLength)) {
    throw unsupported(`pbkeylen must be one of ${KEY_LENGTHS.join(", ")}`);
  }
  const latencyMs = wholeNumber(given("latency"));
  if (latencyMs !== undefined && !(latencyMs <= LONGEST_LATENCY_MS)) {
    throw unsupported(`latency must be a number of milliseconds up to ${LONGEST_LATENCY_MS}`);
  }
  return { host: url.hostname, port: Number(url.port), streamId, passphrase, keyLength, latencyMs };
}

/**
 * Writes the playlist that ffmpeg reads from its stdin, in the format of its concat demuxer. It keeps streamid and
 * passphrase out of ffmpeg's arguments, which every user of the machine can see. Pure.
 *
 * @param address the checked address to connect to
 */
export function srtPlaylist(
  { port, streamId, passphrase, keyLength, latencyMs }: SrtAddress,
  address: { readonly address: string; readonly family: 4 | 6 },
): string {
  const host = address.family === 6 ? `[${address.address}]` : address.address;
  const options = {
    mode: "caller",
    connect_timeout: CONNECT_TIMEOUT_MS,
    // Only MPEG-TS is allowed, because a playlist from the server could lead ffmpeg to other addresses.
    format_whitelist: "mpegts",
    protocol_whitelist: "srt",
    streamid: streamId,
    passphrase,
    pbkeylen: keyLength,
    // ffmpeg expects microseconds.
    latency: latencyMs === undefined ? undefined : latencyMs * 1000,
  };
  const lines = Object.entries(options).flatMap(([name, value]) => {
    return value === undefined ? [] : [`option ${name} ${quoted(String(value))}`];
  });
  return ["ffconcat version 1.0", `file ${quoted(`srt://${host}:${port}`)}`, ...lines, ""].join("\n");
}

/**
 * Quotes a string for ffmpeg: everything between single quotes is literal, and a single quote itself is escaped
 * outside.
 */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Refuses control characters, which could end a line of the playlist and begin another one. */
function plainText(name: string, text: string | undefined): string | undefined {
  if (text !== undefined && /\p{Cc}/u.test(text)) throw unsupported(`${name} must have no control characters`);
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
