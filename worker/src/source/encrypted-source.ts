import { RoomcastError } from "@roomcast/shared";

/** Returns the error for a source with encrypted media. */
export function encryptedSource(scheme: string): RoomcastError {
  const message = `The source is encrypted (${scheme}) and cannot be played: give a copy without DRM.`;
  return new RoomcastError("FailedOperation.SourceUnsupported", message);
}
