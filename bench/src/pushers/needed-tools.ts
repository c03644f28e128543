import { findMediaTools, type MediaTools } from "@roomcast/worker/media-tools";

/** @throws Error that says what is missing and what to run. */
export async function neededTools(): Promise<MediaTools> {
  const found = await findMediaTools();
  if (found.name === "found") return found.tools;
  throw new Error(found.problems.map(({ message }) => message).join("\n"));
}
