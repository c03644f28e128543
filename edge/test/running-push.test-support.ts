import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { call, fresh, pushBody, reaches, start } from "./fixtures.test-support.ts";

interface RunningOptions {
  readonly at?: { readonly workerId: string; readonly region: string };
  readonly rest?: Record<string, unknown>;
  /** The worker's protocol version; the newest one by default. */
  readonly protocol?: number;
}

/** Starts a push on a new worker, which reports it at 5 s of its source. */
export async function running(options: RunningOptions = {}) {
  const { at = { workerId: fresh("w"), region: fresh("ap") }, rest = {}, protocol } = options;
  const worker = await FakeWorker.connect({ ...at, ...(protocol === undefined ? {} : { protocol }) });
  const body = await pushBody({ Region: at.region, ...rest });
  const taskId = await start(body);
  const dispatch = await worker.next("dispatch", (frame) => frame.taskId === taskId);
  worker.send({ type: "accepted", taskId, attempt: 1 });
  worker.report([reportOf(dispatch, { positionMs: 5000 })]);
  await reaches(taskId, "pushing");
  return { at, worker, body, taskId, dispatch };
}

export function stop(taskId: string, how = "now"): Promise<Response> {
  return call(`/v1/tasks/${taskId}?how=${how}`, { method: "DELETE" });
}
