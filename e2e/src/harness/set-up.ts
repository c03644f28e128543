import { buildWorker } from "@roomcast/dev/stack/built-worker";

/** Once for all tests: what they start is the worker as it is deployed, which also starts sooner than its sources. */
export default function setUp(): Promise<void> {
  return buildWorker();
}
