import type { EdgeWorkerd } from "@roomcast/dev/stack/edge-workerd";
import { REGION, stackWorkerToken } from "@roomcast/dev/stack/stack-secrets";
import type { TaskRef } from "@roomcast/shared";
import { percentile } from "../base/median.ts";
import type { DispatchReport } from "./control-report.ts";
import type { PushRequests } from "./push-requests.ts";
import { ScriptedWorker } from "./scripted-worker.ts";

const WORKER_ID = "bench-dispatch";
const CAPACITY_UNITS = 100;

interface Order extends TaskRef {
  readonly atMs: number;
}

/** From the HTTP call to the worker's having the task, one push at a time. */
export async function measureDispatch(
  edge: EdgeWorkerd,
  requests: PushRequests,
  runs: number,
): Promise<DispatchReport> {
  let next = Promise.withResolvers<Order>();
  const worker = await ScriptedWorker.connect({
    edgeUrl: `ws://127.0.0.1:${edge.edgePort}`,
    workerId: WORKER_ID,
    region: REGION,
    token: await stackWorkerToken(edge.secrets, { workerId: WORKER_ID }),
    capacityUnits: CAPACITY_UNITS,
    onDispatch: ({ taskId, attempt }) => next.resolve({ taskId, attempt, atMs: performance.now() }),
  });
  const dispatchedMs: number[] = [];
  const answeredMs: number[] = [];
  try {
    for (let run = 0; run < runs; run += 1) {
      next = Promise.withResolvers();
      const calledAtMs = performance.now();
      const taskId = await edge.client.push(requests.next());
      answeredMs.push(performance.now() - calledAtMs);
      const order = await next.promise;
      if (order.taskId !== taskId) throw new Error("Another task was dispatched than the one that was created.");
      dispatchedMs.push(order.atMs - calledAtMs);
      await worker.finish(order);
    }
  } finally {
    await worker.close();
  }
  return {
    runs,
    answerP50Ms: percentile(answeredMs, 0.5),
    answerP99Ms: percentile(answeredMs, 0.99),
    dispatchP50Ms: percentile(dispatchedMs, 0.5),
    dispatchP99Ms: percentile(dispatchedMs, 0.99),
  };
}
