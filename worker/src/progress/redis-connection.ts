import { RoomcastError } from "@roomcast/shared";
import { Redis } from "ioredis";
import { Backoff } from "../backoff.ts";
import { cancellableSleep } from "../cancellable-sleep.ts";
import { needsNoPassword, type RedisTarget, redisError } from "./redis-error.ts";

export interface RedisConnectionOptions {
  readonly target: RedisTarget;
  /** Resolves a host name, or refuses to, as for every connection that is made on a user's behalf. */
  readonly resolve: (hostname: string) => Promise<{ readonly address: string }>;
  /** How long it may take to connect, and to answer a command, ms. */
  readonly timeoutMs: number;
}

/** One connection to a user's Redis that comes back by itself. */
export class RedisConnection {
  readonly #options: RedisConnectionOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #client: Redis | undefined;
  #lastError: RoomcastError | undefined;
  /** The outcome of the try that goes on, or of the next one. */
  #next = newAttempt();
  #waiting = new AbortController();

  constructor(options: RedisConnectionOptions) {
    this.#options = options;
  }

  /** undefined while it is away. */
  get client(): Redis | undefined {
    return this.#client;
  }

  /** Why it is away. */
  get lastError(): RoomcastError | undefined {
    return this.#lastError;
  }

  /**
   * The client, once it has answered; a connection that is away is tried again at once.
   *
   * @throws RoomcastError `FailedOperation.RedisUnreachable` or `FailedOperation.RedisRefused`.
   */
  async connected(): Promise<Redis> {
    this.#running ??= this.#run();
    if (this.#client !== undefined) return this.#client;
    this.#waiting.abort();
    return await this.#next.promise;
  }

  /** Drops a connection that does not answer; another is made. */
  reset(): void {
    this.#client?.disconnect();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#waiting.abort();
    this.#client?.disconnect();
    await this.#running;
  }

  async #run(): Promise<void> {
    const backoff = new Backoff({
      initialMs: 200,
      maxMs: 5_000,
      budgetMs: Number.POSITIVE_INFINITY,
      healthyAfterMs: 5_000,
    });
    while (!this.#stopping.signal.aborted) {
      const startedMs = performance.now();
      this.#lastError = await this.#runOnce();
      this.#next.reject(this.#lastError);
      this.#next = newAttempt();
      if (this.#stopping.signal.aborted) break;
      const nowMs = performance.now();
      this.#waiting = new AbortController();
      await cancellableSleep(backoff.failed(nowMs, nowMs - startedMs) ?? 0, this.#waiting.signal);
    }
    this.#next.reject(redisError(new Error("stopped"), this.#options.target));
  }

  /** One connection from the look-up of its name to its end. Returns why it ended. */
  async #runOnce(): Promise<RoomcastError> {
    const { target, resolve, timeoutMs } = this.#options;
    let client: Redis | undefined;
    try {
      const { address } = await resolve(target.host);
      client = newClient(address, target.port, timeoutMs);
      let problem: unknown = new Error("the connection was closed");
      client.on("error", (error) => {
        problem = error;
      });
      const ended = Promise.withResolvers<void>();
      client.once("end", () => ended.resolve());
      try {
        await within(timeoutMs, greet(client, target.password));
      } catch (error) {
        // What the socket said is the cause; that the command found it closed is not.
        const closed = error instanceof Error && /Connection is closed/.test(error.message);
        throw closed ? problem : error;
      }
      if (!this.#stopping.signal.aborted) {
        this.#client = client;
        this.#next.resolve(client);
        await ended.promise;
      }
      return redisError(problem, target);
    } catch (error) {
      return redisError(error, target);
    } finally {
      this.#client = undefined;
      client?.disconnect();
    }
  }
}

function newClient(host: string, port: number, timeoutMs: number): Redis {
  return new Redis({
    host,
    port,
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    // Redis 5 and the managed services that follow it know no HELLO.
    protocol: 2,
    disableClientInfo: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Coming back is `run()`'s: the name is looked up and judged anew each time.
    retryStrategy: () => null,
  });
}

async function greet(client: Redis, password: string): Promise<void> {
  await client.connect();
  // Not by ioredis' option: it would write to the console where the server has no password.
  if (password !== "") {
    await client.auth(password).catch((error: unknown) => {
      if (!needsNoPassword(error)) throw error;
    });
  }
  await client.ping();
}

async function within(timeoutMs: number, work: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("timed out")), timeoutMs);
  try {
    await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

function newAttempt(): PromiseWithResolvers<Redis> {
  const attempt = Promise.withResolvers<Redis>();
  // Nobody may be waiting for it.
  attempt.promise.catch(() => {});
  return attempt;
}
