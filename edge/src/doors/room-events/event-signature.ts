const encoder = new TextEncoder();

/** Returns true if a callback's header `Sign` is base64 of HMAC-SHA256 over its body with this key. The comparison takes the same
 * time for every wrong signature.
 */
export async function isSignedWith(body: string, sign: string, key: string): Promise<boolean> {
  const digest = bytesOf(sign);
  if (digest === null) return false;
  const imported = await crypto.subtle.importKey("raw", encoder.encode(key), { name: "HMAC", hash: "SHA-256" }, false, [
    "verify",
  ]);
  return crypto.subtle.verify("HMAC", imported, digest, encoder.encode(body));
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    return null;
  }
}
