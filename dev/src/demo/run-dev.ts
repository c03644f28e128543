import { claimPort } from "../stack/free-port.ts";
import {
  credentialVariables,
  edgeSettings,
  newStackSecrets,
  SDK_APP_ID,
  stackUserSig,
  stackWorkerToken,
} from "../stack/stack-secrets.ts";
import { startEdge } from "../stack/start-edge.ts";
import { startEmulator } from "../stack/start-emulator.ts";
import { startRedis } from "../stack/start-redis.ts";
import { startWorker } from "../stack/start-worker.ts";
import { onInterrupt } from "./on-interrupt.ts";
import { runningBeside } from "./running-beside.ts";
import { writeVariables } from "./write-variables.ts";

const PORTS = { edge: 8787, rtmp: 1935, emulator: 8090, redis: 6379 } as const;
/** Node starts the program again when one of its files has changed. */
const RELOAD = ["--watch", "--watch-preserve-output"];
const USER_ID = "developer";

/**
 * `npm run dev`: edge, worker, room emulator and Redis, each on its usual port where that is free. Edge, worker and
 * emulator start again when their code changes. It runs until it is interrupted.
 */
export async function runDev(): Promise<number> {
  const owned = new AsyncDisposableStack();
  onInterrupt(() => owned.disposeAsync());
  const secrets = newStackSecrets();
  try {
    for (const { pid, edgeUrl } of await runningBeside()) {
      process.stdout.write(
        `npm run dev runs here already, on ${edgeUrl} (process ${pid}). This one runs beside it, on other ports.\n`,
      );
    }
    // The ports stay the same while this command runs, so that a restarted part is found at its old address.
    const [edgePort, rtmpPort, httpPort, redisPort] = await Promise.all([
      usualPort("edge"),
      usualPort("rtmp"),
      usualPort("emulator"),
      usualPort("redis"),
    ]);
    const redis = await startRedis({ port: redisPort });
    owned.defer(() => redis.stop());
    const emulator = await startEmulator({
      apps: { [SDK_APP_ID]: secrets.trtcSecretKey },
      nodeOptions: RELOAD,
      onLine: prefixed("emulator"),
      rtmpPort,
      httpPort,
    });
    owned.defer(() => emulator.stop());
    const edge = await startEdge({
      settings: edgeSettings(secrets),
      onLine: prefixed("edge"),
      port: edgePort,
    });
    owned.defer(() => edge.stop());
    const worker = await startWorker({
      settings: {
        ROOMCAST_EDGE_URL: edge.url,
        ROOMCAST_WORKER_TOKEN: await stackWorkerToken(secrets, { workerId: "worker-dev" }),
        ROOMCAST_RTMP_URL: emulator.rtmpUrl,
        ROOMCAST_ALLOW_HOSTS: "127.0.0.1",
        ROOMCAST_DRAIN_TIMEOUT_MS: "1000",
      },
      nodeOptions: RELOAD,
      onLine: prefixed("worker"),
    });
    owned.defer(() => worker.stop());
    const variables = await writeVariables({
      command: "dev",
      variables: {
        ...credentialVariables(secrets),
        USER_ID,
        USER_SIG: await stackUserSig(secrets, USER_ID),
        // A user is in one room only. Trying several rooms needs signatures for several users.
        TRTC_SECRET_KEY: secrets.trtcSecretKey,
        REDIS_PASSWORD: redis.password,
        EDGE: edge.url,
      },
    });
    process.stdout.write(`
edge      ${edge.url}
emulator  ${emulator.httpUrl}/  (push to ${emulator.rtmpUrl}, SdkAppId ${SDK_APP_ID})
redis     ${redis.host}:${redis.port}
secrets   . ${variables}  (SECRET_ID, SECRET_KEY, USER_ID, USER_SIG, TRTC_SECRET_KEY, REDIS_PASSWORD, EDGE)

`);
    // The command ends by an interrupt only, since a watched worker is always restarted.
    await worker.exited;
    return 1;
  } finally {
    await owned.disposeAsync();
  }
}

/** Another one where that is taken, which is said: who looks for a part where it usually is would find somebody else's. */
async function usualPort(part: keyof typeof PORTS): Promise<number> {
  const usual = PORTS[part];
  const port = await claimPort(usual);
  if (port !== usual) process.stdout.write(`Port ${usual} is taken: ${part} gets ${port}.\n`);
  return port;
}

function prefixed(part: string): (line: string) => void {
  const prefix = `${part.padEnd(8)} | `;
  return (line) => process.stdout.write(`${prefix}${line}\n`);
}
