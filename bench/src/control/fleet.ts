import { fileURLToPath } from "node:url";
import { startProcess } from "@roomcast/dev/stack/process-handle";
import { z } from "zod";

export const fleetOptionsSchema = z.object({
  edgeUrl: z.string(),
  region: z.string(),
  workers: z.int(),
  /** Of each worker. */
  capacityUnits: z.number(),
  secrets: z.object({
    trtcSecretKey: z.string(),
    secretId: z.string(),
    secretKey: z.string(),
    workerTokenKey: z.string(),
    sealKey: z.string(),
  }),
});
export type FleetOptions = z.output<typeof fleetOptionsSchema>;

/** The fleet's report, once a second. */
const fleetNewsSchema = z.object({
  /** Connected. */
  workers: z.int(),
  /** The reasons why the others are not connected. */
  lost: z.array(z.string()),
  /** Running on all workers. */
  tasks: z.int(),
  /** Tasks that the edge has taken back since the beginning, and why. */
  taken: z.array(z.object({ reason: z.string(), times: z.int() })),
  /** Reports that the edge has answered in this second, and how soon. */
  answers: z.int(),
  answerP50Ms: z.number().nullable(),
  answerP99Ms: z.number().nullable(),
});
export type FleetNews = z.output<typeof fleetNewsSchema>;

export interface Fleet {
  readonly pid: number;
  /** The next news for which this holds. @throws Error when it does not come in time or the fleet breaks. */
  until(holds: (news: FleetNews) => boolean, timeoutMs: number): Promise<FleetNews>;
  /** Leaves, without ending its tasks. Idempotent. */
  stop(): Promise<void>;
}

const MAIN = fileURLToPath(new URL("fleet-process.ts", import.meta.url));
const STOP_TIMEOUT_MS = 10_000;

/** Starts workers without media, in one process. */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const waiting = new Set<(news: FleetNews) => void>();
  const child = await startProcess({
    name: "simulated fleet",
    command: process.execPath,
    args: [MAIN],
    env: process.env,
    stdin: JSON.stringify(options),
    stopTimeoutMs: STOP_TIMEOUT_MS,
    onMessage: (message) => {
      const news = fleetNewsSchema.parse(message);
      for (const hear of waiting) hear(news);
    },
  });
  return {
    pid: child.pid,
    until: async (holds, timeoutMs) => {
      const { promise, resolve, reject } = Promise.withResolvers<FleetNews>();
      const hear = (news: FleetNews) => {
        if (news.lost.length > 0) reject(new Error(`${news.lost.length} workers were cut off; one ${news.lost[0]}`));
        else if (holds(news)) resolve(news);
      };
      waiting.add(hear);
      try {
        return await child.untilReady(promise, timeoutMs);
      } finally {
        waiting.delete(hear);
      }
    },
    stop: () => child.stop(),
  };
}
