import { setTimeout as delay } from "node:timers/promises";
import { RoomEmulator } from "../emulator/room-emulator.ts";
import type { RoomRules } from "../emulator/room-rules.ts";
import { EdgeClient } from "./edge-client.ts";
import {
  authorizationOf,
  credentialVariables,
  edgeSettings,
  newStackSecrets,
  SDK_APP_ID,
  type StackSecrets,
  stackUserSig,
  stackWorkerToken,
} from "./stack-secrets.ts";
import { type EdgeHandle, startEdge } from "./start-edge.ts";
import { type FileServerHandle, startFileServer } from "./start-file-server.ts";
import { type RedisHandle, startRedis } from "./start-redis.ts";
import { startWorker, type WorkerHandle } from "./start-worker.ts";
import { makeTempFolder } from "./temp-folder.ts";

export { SDK_APP_ID } from "./stack-secrets.ts";

const CONNECT_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

export interface StartStackOptions {
  /** Rules of the rooms that differ from TRTC's documents. */
  readonly roomRules?: Partial<RoomRules>;
  /** The number of media workers; default 1. */
  readonly workers?: number;
  /** Default true. */
  readonly redis?: boolean;
  /** Further settings of the edge, such as time limits. */
  readonly edgeSettings?: Readonly<Record<string, string>>;
  /** The program of every worker; default: the worker's sources. */
  readonly workerProgram?: string;
  /** Settings of every worker, likewise. */
  readonly workerSettings?: Readonly<Record<string, string>>;
  /** Told of every line that a part says. */
  readonly onLine?: (part: string, line: string) => void;
}

export interface AddWorkerOptions {
  /** Its id, which its token names; default `worker-<n>`. */
  readonly workerId?: string;
  /** The worker's region; default `REGION`. */
  readonly region?: string;
  readonly settings?: Readonly<Record<string, string>>;
}

/** Everything that a push needs, on this machine: room emulator, edge, media workers, Redis, a server of clips. */
export class Stack {
  readonly emulator: RoomEmulator;
  readonly files: FileServerHandle;
  /** The API as its users see it, with a credential for everything. */
  readonly client: EdgeClient;
  /** `Bearer <SecretId>.<SecretKey>`. */
  readonly authorization: string;
  /** The SecretKey of the TRTC application. */
  readonly trtcSecretKey: string;
  /** The folder in which the edge keeps its Durable Objects. */
  readonly stateFolder: string;
  readonly workers: WorkerHandle[] = [];
  readonly #options: StartStackOptions;
  readonly #secrets: StackSecrets;
  readonly #redis: RedisHandle | undefined;
  readonly #owned: AsyncDisposableStack;
  #edge: EdgeHandle;
  readonly #workerTokens: string[] = [];
  #workersMade = 0;
  #stopped: Promise<void> | undefined;

  /** Use `startStack`. */
  constructor(parts: StackParts) {
    this.emulator = parts.emulator;
    this.files = parts.files;
    this.#redis = parts.redis;
    this.#edge = parts.edge;
    this.stateFolder = parts.stateFolder;
    this.#owned = parts.owned;
    this.#options = parts.options;
    this.#secrets = parts.secrets;
    this.trtcSecretKey = parts.secrets.trtcSecretKey;
    this.authorization = authorizationOf(parts.secrets);
    this.client = new EdgeClient({ url: parts.edge.url, authorization: this.authorization });
  }

  get edge(): EdgeHandle {
    return this.#edge;
  }

  get redis(): RedisHandle {
    if (this.#redis === undefined) throw new Error("This stack was started without Redis.");
    return this.#redis;
  }

  /** A UserSig of the application for a user, signed with its SecretKey. */
  userSig(userId: string, lifetimeS?: number): Promise<string> {
    return stackUserSig(this.#secrets, userId, lifetimeS);
  }

  /** The credential as the shell variables `SECRET_ID` and `SECRET_KEY`. */
  credentialVariables(): Record<string, string> {
    return credentialVariables(this.#secrets);
  }

  /** Every secret that holds this stack together, for those who look whether one leaks. */
  secretTexts(): string[] {
    const { secretId: _public, ...secrets } = this.#secrets;
    return [...Object.values(secrets), ...this.#workerTokens];
  }

  /** The four parameters of a push request that record its progress in this stack's Redis. */
  redisParameters(): { Redis: true; RedisHost: string; RedisPort: number; RedisPassword: string } {
    const { host, port, password } = this.redis;
    return { Redis: true, RedisHost: host, RedisPort: port, RedisPassword: password };
  }

  /** Starts one more worker; resolves when the edge lists it. */
  async addWorker(options: AddWorkerOptions = {}): Promise<WorkerHandle> {
    this.#workersMade += 1;
    const workerId = options.workerId ?? `worker-${this.#workersMade}`;
    const token = await stackWorkerToken(this.#secrets, { workerId, region: options.region });
    this.#workerTokens.push(token);
    const starting = startWorker({
      ...(this.#options.workerProgram === undefined ? {} : { program: this.#options.workerProgram }),
      settings: {
        ROOMCAST_EDGE_URL: this.#edge.url,
        ROOMCAST_WORKER_TOKEN: token,
        ROOMCAST_RTMP_URL: this.emulator.rtmpUrl,
        ROOMCAST_ALLOW_HOSTS: "127.0.0.1",
        // At the end of a test or a demo no other worker can take the tasks.
        ROOMCAST_DRAIN_TIMEOUT_MS: "2000",
        ...this.#options.workerSettings,
        ...options.settings,
      },
      ...lineListener(this.#options, workerId),
    });
    const worker = await own(this.#owned, starting);
    this.workers.push(worker);
    await this.#untilConnected(worker, workerId);
    return worker;
  }

  /** Kills the edge and starts it again where it was, with what it had stored. */
  async restartEdge(): Promise<void> {
    await this.#edge.kill();
    const starting = startEdge({
      settings: { ...edgeSettings(this.#secrets), ...this.#options.edgeSettings },
      stateFolder: this.stateFolder,
      port: this.#edge.port,
      ...lineListener(this.#options, "edge"),
    });
    this.#edge = await own(this.#owned, starting);
  }

  /** Idempotent; resolves when every process has ended and every port is closed. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#owned.disposeAsync());
  }

  async #untilConnected(worker: WorkerHandle, workerId: string): Promise<void> {
    const connected = async (): Promise<boolean> =>
      (await this.client.workers()).some((known) => known.workerId === workerId);
    const exited = worker.exited.then(() => true as const);
    for (const deadlineMs = Date.now() + CONNECT_TIMEOUT_MS; !(await connected()); ) {
      const gone = await Promise.race([exited, delay(POLL_MS, false as const)]);
      if (gone || Date.now() > deadlineMs) {
        throw new Error(`${workerId} ${gone ? "has ended" : "is not connected"}. Its last output:\n${worker.output()}`);
      }
    }
  }
}

interface StackParts {
  readonly emulator: RoomEmulator;
  readonly files: FileServerHandle;
  readonly redis: RedisHandle | undefined;
  readonly edge: EdgeHandle;
  readonly stateFolder: string;
  readonly secrets: StackSecrets;
  readonly options: StartStackOptions;
  readonly owned: AsyncDisposableStack;
}

/**
 * Starts all parts on free ports. If one part fails, the others are stopped.
 *
 * @throws Error of the first part that does not start, with its last output.
 */
export async function startStack(options: StartStackOptions = {}): Promise<Stack> {
  const owned = new AsyncDisposableStack();
  const secrets = newStackSecrets();
  try {
    const state = await makeTempFolder();
    owned.defer(() => state.remove());
    const starting = [
      own(
        owned,
        RoomEmulator.start({
          apps: { [SDK_APP_ID]: secrets.trtcSecretKey },
          ...(options.roomRules === undefined ? {} : { rules: options.roomRules }),
        }),
      ),
      own(owned, startFileServer()),
      options.redis === false ? Promise.resolve(undefined) : own(owned, startRedis()),
      own(
        owned,
        startEdge({
          settings: { ...edgeSettings(secrets), ...options.edgeSettings },
          stateFolder: state.path,
          ...lineListener(options, "edge"),
        }),
      ),
    ] as const;
    // Each started part is owned, so that it is stopped, before the failure of another one is thrown.
    await Promise.allSettled(starting);
    const [emulator, files, redis, edge] = await Promise.all(starting);
    const stack = new Stack({ emulator, files, redis, edge, stateFolder: state.path, secrets, options, owned });
    await addWorkers(stack, options.workers ?? 1);
    return stack;
  } catch (error) {
    await owned.disposeAsync();
    throw error;
  }
}

/** A part that comes up after the stack was stopped goes down again. */
async function own<Part extends { stop(): Promise<void> }>(
  owned: AsyncDisposableStack,
  starting: Promise<Part>,
): Promise<Part> {
  const part = await starting;
  if (owned.disposed) {
    await part.stop();
    throw new Error("The stack was stopped while a part of it started.");
  }
  owned.defer(() => part.stop());
  return part;
}

async function addWorkers(stack: Stack, count: number): Promise<void> {
  const starting = Array.from({ length: count }, () => stack.addWorker());
  await Promise.allSettled(starting);
  await Promise.all(starting);
}

function lineListener(options: StartStackOptions, part: string): { onLine?: (line: string) => void } {
  const { onLine } = options;
  return onLine === undefined ? {} : { onLine: (line) => onLine(part, line) };
}
