import { buildWorker } from "@roomcast/dev/stack/built-worker";

/** Builds the worker once for all tests. They run the worker as it is deployed, which also starts sooner than its sources. */
export default function setUp(): Promise<void> {
  return buildWorker();
}
