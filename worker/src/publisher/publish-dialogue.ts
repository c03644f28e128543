import type { Dial } from "../rtmp/dial-rtmp.ts";
import type { RtmpMessage } from "../rtmp/message.ts";
import type { RtmpAddress } from "../rtmp/rtmp-address.ts";
import { createdStreamId, RtmpCallError, RtmpClient, type RtmpStatus } from "../rtmp/rtmp-client.ts";
import type { PipelineMemory } from "./pipeline-memory.ts";

/** A connection with a created stream, on which a publish command may be sent. */
export interface OpenStream {
  readonly client: RtmpClient;
  readonly streamId: number;
}

export interface OpenStreamOptions {
  readonly address: RtmpAddress;
  readonly dial: Dial;
  readonly signal: AbortSignal;
  /** Time limit for name resolution, TCP and TLS, ms. If it is absent, only the signal limits these steps. */
  readonly dialTimeoutMs?: number;
  readonly chunkBytes: number;
  /** Time limit for the answers to pipelined commands, ms. */
  readonly pipelineTimeoutMs: number;
  readonly memory: PipelineMemory;
  /** Called with each new connection, of which there may be two. */
  readonly onClient: (client: RtmpClient) => void;
  readonly onStatus: (client: RtmpClient, status: RtmpStatus) => void;
  readonly onClose: (client: RtmpClient, error: Error | undefined) => void;
}

/** The error if the server could not be reached, or if the RTMP handshake failed. */
export class NotReachedError extends Error {
  override readonly name = "NotReachedError";
}

/** The error if the server's answer to `createStream` contained no stream. */
export class NoStreamError extends Error {
  override readonly name = "NoStreamError";
}

/**
 * Connects and creates a stream. The commands are pipelined, so that there are three round trips after TCP, including the
 * publish itself. If the server closes the connection, or does not answer in time, they are sent one at a time on a new
 * connection.
 *
 * @throws NotReachedError, NoStreamError, RtmpCallError for an error answer, or the error that closed the connection.
 */
export async function openPublishStream(options: OpenStreamOptions): Promise<OpenStream> {
  const { address, memory, signal } = options;
  const server = `${address.host}:${address.port}`;
  if (memory.takesOneAtATime(server)) return createStream(options, "one at a time");
  try {
    return await createStream(options, "in one go");
  } catch (thrown) {
    const answered =
      thrown instanceof RtmpCallError || thrown instanceof NotReachedError || thrown instanceof NoStreamError;
    if (answered || signal.aborted) throw thrown;
  }
  const opened = await createStream(options, "one at a time");
  memory.remember(server);
  return opened;
}

async function createStream(options: OpenStreamOptions, commands: "in one go" | "one at a time"): Promise<OpenStream> {
  const { address, signal, chunkBytes, pipelineTimeoutMs } = options;
  const { app, tcUrl, streamKey } = address;
  const client = await connect(options);
  const abort = () => client.connection.destroy();
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  let timer: NodeJS.Timeout | undefined;
  try {
    await client.ready.catch((cause: unknown) => {
      throw new NotReachedError("The handshake failed.", { cause });
    });
    client.connection.setChunkSize(chunkBytes);
    const together = commands === "in one go";
    if (together) timer = setTimeout(abort, pipelineTimeoutMs);
    const connected = client.call("connect", { app, type: "nonprivate", flashVer: "FMLE/3.0 (Roomcast)", tcUrl });
    if (!together) await connected;
    client.send(0, "releaseStream", null, streamKey);
    client.send(0, "FCPublish", null, streamKey);
    const created = client.call("createStream", null);
    await connected;
    const streamId = createdStreamId(await created);
    if (streamId === null) throw new NoStreamError("There was no stream in the answer.");
    return { client, streamId };
  } catch (thrown) {
    client.connection.destroy();
    await client.connection.closed;
    throw thrown;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

async function connect(options: OpenStreamOptions): Promise<RtmpClient> {
  const { host, port, tls } = options.address;
  const { dialTimeoutMs } = options;
  const signal =
    dialTimeoutMs === undefined
      ? options.signal
      : AbortSignal.any([options.signal, AbortSignal.timeout(dialTimeoutMs)]);
  try {
    const socket = await options.dial({ host, port, tls, signal });
    const client: RtmpClient = new RtmpClient({
      socket,
      onStatus: (status) => options.onStatus(client, status),
      // A publisher needs none of the messages that a server sends.
      onMessage: (_message: RtmpMessage) => undefined,
      onClose: (error) => options.onClose(client, error),
    });
    options.onClient(client);
    return client;
  } catch (cause) {
    throw new NotReachedError("There is no connection.", { cause });
  }
}
