import { RoomcastError } from "@roomcast/shared";

/** The refusal of a source whose media are encrypted. */
export function encryptedSource(scheme: string): RoomcastError {
  const message = `The source is encrypted (${scheme}), and rooms are sent no protected media: give a copy without DRM.`;
  return new RoomcastError("FailedOperation.SourceUnsupported", message);
}
