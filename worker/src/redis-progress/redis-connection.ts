import { isIP } from "node:net";
import type { RoomcastError } from "@roomcast/shared";
import { Redis } from "ioredis";
import { Backoff } from "../base/backoff.ts";
import { cancellableSleep } from "../base/cancellable-sleep.ts";
import { containReplyErrors } from "./contain-reply-errors.ts";
import { ClosedUnanswered, needsNoPassword, type RedisTarget, redisError } from "./redis-error.ts";

containReplyErrors();

export interface RedisConnectionOptions {
  readonly target: RedisTarget;
  /** Resolves a host name, or rejects a forbidden one, as for every connection on a user's behalf. */
  readonly resolve: (hostname: string) => Promise<{ readonly address: string }>;
  /** Time limit to connect and to answer a command, ms. */
  readonly timeoutMs: number;
}

/** A connection to a user's Redis, which is made again by itself after it was lost. */
export class RedisConnection {
  readonly #options: RedisConnectionOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #client: Redis | undefined;
  #lastError: RoomcastError | undefined;
  #whyReset: RoomcastError | undefined;
  /** The outcome of the current attempt to connect, or of the next one. */
  #next = newAttempt();
  #waiting = new AbortController();

  constructor(options: RedisConnectionOptions) {
    this.#options = options;
  }

  /** The client of the current connection; undefined while there is none. */
  get client(): Redis | undefined {
    return this.#client;
  }

  /** The error with which the last connection ended. */
  get lastError(): RoomcastError | undefined {
    return this.#lastError;
  }

  /**
   * Resolves with the client once the server has answered. If there is no connection, this tries to make one at once.
   *
   * @throws RoomcastError `FailedOperation.RedisUnreachable` or `FailedOperation.RedisRefused`.
   */
  async connected(): Promise<Redis> {
    this.#running ??= this.#run();
    if (this.#client !== undefined) return this.#client;
    this.#waiting.abort();
    return await this.#next.promise;
  }

  /** Returns an error of this connection in a form that users may read. */
  explained(thrown: unknown): RoomcastError {
    return redisError(thrown, this.#options.target);
  }

  /**
   * Drops a connection that is no longer useful, for the given reason. The name is resolved again, and another
   * connection is made.
   */
  reset(why: RoomcastError): void {
    this.#whyReset = why;
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
      this.#whyReset = undefined;
      const ended = await this.#runOnce();
      this.#lastError = this.#whyReset ?? ended;
      this.#next.reject(this.#lastError);
      this.#next = newAttempt();
      if (this.#stopping.signal.aborted) break;
      const nowMs = performance.now();
      this.#waiting = new AbortController();
      await cancellableSleep(backoff.failed(nowMs, nowMs - startedMs) ?? 0, this.#waiting.signal);
    }
    this.#next.reject(redisError(new Error("stopped"), this.#options.target));
  }

  /** Runs one connection from the name look-up to its end. Returns why it ended. */
  async #runOnce(): Promise<RoomcastError> {
    const { target, resolve, timeoutMs } = this.#options;
    let client: Redis | undefined;
    try {
      const { address } = await resolve(target.host);
      client = newClient(address, target, timeoutMs);
      let problem: unknown = new Error("the connection was closed");
      client.on("error", (error) => {
        const isReset = "code" in error && error.code === "ECONNRESET";
        if (!(isReset && problem instanceof ClosedUnanswered)) problem = error;
      });
      // If the connection closes before the server has answered, this is the likely cause: a server that requires TLS
      // closes a plain connection.
      client.once("connect", () => {
        problem = new ClosedUnanswered("closed");
      });
      const ended = Promise.withResolvers<void>();
      client.once("end", () => ended.resolve());
      try {
        await within(timeoutMs, greet(client, target));
        if (problem instanceof ClosedUnanswered) problem = new Error("the connection was closed");
      } catch (error) {
        // If a command found the socket closed, the error of the socket is the cause.
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

function newClient(address: string, { host, port, tls }: RedisTarget, timeoutMs: number): Redis {
  return new Redis({
    host: address,
    port,
    // The certificate is checked against the name, not against the resolved address.
    ...(tls ? { tls: isIP(host) === 0 ? { servername: host } : {} } : {}),
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    // Redis 5 and managed services based on it do not know HELLO.
    protocol: 2,
    disableClientInfo: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // `run()` reconnects, because the name is resolved and checked again each time.
    retryStrategy: () => null,
  });
}

async function greet(client: Redis, { user, password, db }: RedisTarget): Promise<void> {
  await client.connect();
  // ioredis's options are not used, because it would write to the console if the server has no password.
  if (user !== "") await client.auth(user, password);
  else if (password !== "") {
    await client.auth(password).catch((error: unknown) => {
      if (!needsNoPassword(error)) throw error;
    });
  }
  // SELECT is left out for database 0, because a cluster refuses the command for every number.
  if (db !== 0) await client.select(db);
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
  // Prevents an unhandled rejection if nothing awaits the attempt.
  attempt.promise.catch(() => {});
  return attempt;
}
