import { RoomcastError } from "@roomcast/shared";

/** What a decoder that forgives puts in the place of bytes that are no UTF-8. No request needs the character itself. */
const REPLACEMENT = "\uFFFD";

/** The longest body of a request, bytes. */
const MAX_BODY_BYTES = 64 * 1024;

/**
 * Reads a request's body as JSON, whatever its Content-Type. A missing or false Content-Length does not
 * matter: without one the bytes are counted while they come.
 *
 * @throws RoomcastError `RequestSizeLimitExceeded` or `InvalidParameter`.
 */
export async function readJson(request: Request): Promise<unknown> {
  return parse(await readText(request));
}

/** As `readJson`; an empty body is an empty object. A proxy in front of us may turn "no body" into an empty one. */
export async function readOptionalJson(request: Request): Promise<unknown> {
  const text = await readText(request);
  return text === "" ? {} : parse(text);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RoomcastError("InvalidParameter", "The body is not JSON: expected a JSON object.", { cause });
  }
}

/** Reads a request's body as text, at most so long. */
export async function readText(request: Request): Promise<string> {
  const announced = Number(request.headers.get("Content-Length") ?? Number.NaN);
  // HTTP gives the body that length, whatever the sender had in mind; to read it whole takes a third of the time.
  if (announced <= MAX_BODY_BYTES) {
    const whole = await request.text();
    if (whole.length > MAX_BODY_BYTES) throw tooLong();
    return checked(whole);
  }
  if (request.body === null) return "";
  const decoder = new TextDecoder();
  const reader = request.body.getReader();
  let text = "";
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.byteLength;
    if (length > MAX_BODY_BYTES) {
      await reader.cancel();
      throw tooLong();
    }
    text += decoder.decode(value, { stream: true });
  }
  return checked(text + decoder.decode());
}

function checked(text: string): string {
  if (!text.includes(REPLACEMENT)) return text;
  throw new RoomcastError(
    "InvalidParameter",
    "The body holds bytes that are not UTF-8, or the character U+FFFD: expected JSON in UTF-8, with that character as \\ufffd.",
  );
}

function tooLong(): RoomcastError {
  return new RoomcastError("RequestSizeLimitExceeded", `The body is longer than ${MAX_BODY_BYTES} bytes.`);
}
