// The simulated fleet in a separate process, so that its work is not counted as the edge's: `fleet.ts` starts it. Its
// options come as JSON on standard input; what it sees goes out once a second as a message; SIGTERM makes it
// leave.
import { text } from "node:stream/consumers";
import { stackWorkerToken } from "@roomcast/dev/stack/stack-secrets";
import { percentile } from "../base/median.ts";
import { type FleetNews, fleetOptionsSchema } from "./fleet.ts";
import { ScriptedWorker } from "./scripted-worker.ts";

const NEWS_EVERY_MS = 1000;
/** The number of workers that connect at the same time. */
const DIALS_AT_ONCE = 20;

const {
  edgeUrl,
  region,
  workers: count,
  capacityUnits,
  secrets,
} = fleetOptionsSchema.parse(JSON.parse(await text(process.stdin)));
const workers: ScriptedWorker[] = [];
const leaving = new Promise<void>((resolve) => process.once("SIGTERM", () => resolve()));
for (let dialled = 0; dialled < count; dialled += DIALS_AT_ONCE) {
  const batch = Array.from({ length: Math.min(DIALS_AT_ONCE, count - dialled) }, (_, n) => connect(dialled + n));
  workers.push(...(await Promise.all(batch)));
}
const telling = setInterval(tell, NEWS_EVERY_MS);
await leaving;
clearInterval(telling);
await Promise.all(workers.map((worker) => worker.close()));
process.disconnect();

async function connect(n: number): Promise<ScriptedWorker> {
  const workerId = `fleet-${n}`;
  const token = await stackWorkerToken(secrets, { workerId, region });
  return ScriptedWorker.connect({ edgeUrl, workerId, region, token, capacityUnits });
}

function tell(): void {
  const answersMs = workers.flatMap((worker) => worker.answersMs.splice(0));
  const news: FleetNews = {
    workers: workers.filter(({ lost }) => lost === undefined).length,
    lost: workers.flatMap(({ lost }) => lost ?? []),
    tasks: workers.reduce((sum, { tasks }) => sum + tasks, 0),
    taken: counted(workers.flatMap(({ taken }) => taken)),
    answers: answersMs.length,
    answerP50Ms: answersMs.length === 0 ? null : percentile(answersMs, 0.5),
    answerP99Ms: answersMs.length === 0 ? null : percentile(answersMs, 0.99),
  };
  process.send?.(news);
}

function counted(reasons: readonly string[]): FleetNews["taken"] {
  const groups = Map.groupBy(reasons, (reason) => reason);
  return [...groups].map(([reason, { length: times }]) => ({ reason, times }));
}
