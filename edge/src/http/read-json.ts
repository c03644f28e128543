import { RoomcastError } from "@roomcast/shared";
import { expanded } from "./expanded.ts";

/** The character that a lenient decoder puts in place of invalid UTF-8. No request needs the character itself. */
const REPLACEMENT = "\uFFFD";

/** The longest body of a request, bytes. */
const MAX_BODY_BYTES = 64 * 1024;
/** The time limit for a whole body to arrive. The longest body takes 5 s at 100 kbit/s. */
const BODY_DEADLINE_MS = 10_000;

/** Reads a request's body as JSON, whatever its Content-Type. A missing or wrong Content-Length does not matter, because the bytes
 * are counted while they arrive.
 *
 * @throws RoomcastError `RequestSizeLimitExceeded` or `InvalidParameter`.
 */
export async function readJson(request: Request): Promise<unknown> {
  return parseJson(await readText(request), request.headers);
}

/**
 * Works like `readJson`, but reads an empty body as an empty object, because a proxy may turn a missing body into an empty one.
 */
export async function readOptionalJson(request: Request): Promise<unknown> {
  const text = await readText(request);
  return text === "" ? {} : parseJson(text, request.headers);
}

/** @throws RoomcastError `InvalidParameter` that names the request's Content-Type unless it is that of JSON */
export function parseJson(text: string, headers: Headers): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const found = text === "" ? "The body is empty" : `The body is not JSON${sentInstead(headers)}`;
    throw new RoomcastError(
      "InvalidParameter",
      `${found}: expected a JSON object, with Content-Type: application/json.`,
      { cause },
    );
  }
}

/**
 * Returns the part of an error text that names the Content-Type of the request. Returns an empty string if that is JSON or is
 * not given.
 */
function sentInstead(headers: Headers): string {
  const type = headers.get("Content-Type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (!/^[a-z0-9.+-]{1,40}\/[a-z0-9.+-]{1,60}$/.test(type) || /[/+]json$/.test(type)) return "";
  return `, and its Content-Type is ${type}`;
}

/**
 * Reads a request's body as a string up to a limit, and decompresses it if necessary.
 *
 * @param deadlineMs the time limit for the body to arrive, so that an unfinished request does not stay open
 */
export async function readText(request: Request, deadlineMs: number = BODY_DEADLINE_MS): Promise<string> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(tooSlow(deadlineMs)), deadlineMs);
  try {
    return await Promise.race([readWhole(request), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function readWhole(request: Request): Promise<string> {
  const encoding = request.headers.get("Content-Encoding")?.trim().toLowerCase() ?? "";
  if (encoding !== "" && encoding !== "identity") {
    const bytes = expanded(await readBytes(request), encoding, MAX_BODY_BYTES);
    return checked(new TextDecoder().decode(bytes));
  }
  const announced = Number(request.headers.get("Content-Length") ?? Number.NaN);
  // A body whose Content-Length is within the limit is read in one piece, because HTTP guarantees the length, and this takes a
  // third of the time.
  if (announced <= MAX_BODY_BYTES) {
    const whole = await request.text();
    if (whole.length > MAX_BODY_BYTES) throw tooLong();
    return checked(whole);
  }
  return checked(new TextDecoder().decode(await readBytes(request)));
}

async function readBytes(request: Request): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array(0);
  const reader = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.byteLength;
    if (length > MAX_BODY_BYTES) {
      await reader.cancel();
      throw tooLong();
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

/**
 * Removes the byte order mark that some programs on Windows put at the beginning.
 *
 * @throws RoomcastError `InvalidParameter` if the text contains the character for invalid UTF-8
 */
function checked(text: string): string {
  const plain = text.startsWith("\uFEFF") ? text.slice(1) : text;
  if (!plain.includes(REPLACEMENT)) return plain;
  // Data in gzip begins with 1F 8B (RFC 1952, section 2.3.1), of which the second byte is not UTF-8.
  if (plain.startsWith(`\u001F${REPLACEMENT}`)) {
    throw new RoomcastError(
      "InvalidParameter",
      "The body is compressed by gzip, and no Content-Encoding says so: send plain JSON, or Content-Encoding: gzip.",
    );
  }
  throw new RoomcastError(
    "InvalidParameter",
    "The body holds bytes that are not UTF-8, or the character U+FFFD: expected JSON in UTF-8, with that character as \\ufffd.",
  );
}

function tooSlow(deadlineMs: number): RoomcastError {
  const message = `The body did not come whole within ${deadlineMs / 1000} s: send it again at once, and as long as its Content-Length says.`;
  return new RoomcastError("InvalidParameter", message);
}

function tooLong(): RoomcastError {
  return new RoomcastError("RequestSizeLimitExceeded", `The body is longer than ${MAX_BODY_BYTES} bytes.`);
}
