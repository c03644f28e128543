import { RoomcastError, shownText, shownUrl } from "@roomcast/shared";
import { AmfEcmaArray, type AmfObject } from "../rtmp/amf0.ts";
import { type Dial, directDial } from "../rtmp/dial-rtmp.ts";
import { CHUNK_STREAM, dataMessage, MESSAGE } from "../rtmp/message.ts";
import { RtmpCallError, type RtmpClient, type RtmpStatus } from "../rtmp/rtmp-client.ts";
import { AcknowledgementWatch } from "./acknowledgement-watch.ts";
import { PipelineMemory } from "./pipeline-memory.ts";
import { NoStreamError, NotReachedError, type OpenStream, openPublishStream } from "./publish-dialogue.ts";
import type { OutgoingMedia, Publisher, StreamMetadata } from "./publisher.ts";
import { type PushAddress, pushAddress, secretsOfPush } from "./push-address.ts";
import { type EndVerdict, reasonOf, roomVerdictError } from "./room-error.ts";
import { DEFAULT_CHUNK_BYTES } from "./rtmp-chunk-size.ts";
import { judgeRoomStatus, TRTC_REFUSAL_CAUSES } from "./trtc-refusal.ts";

const DEFAULT_START_TIMEOUT_MS = 10_000;
/** Interval at which the queue is checked while leaving the room, ms. */
const DEFAULT_STOP_TIMEOUT_MS = 2000;
/** The number of checks in a row without progress after which the rest of the queue is dropped. */
const MOST_IDLE_LOOKS = 2;
/** The number of checks after which the rest of the queue is dropped even if the room still accepts it slowly. */
const MOST_LOOKS = 6;
const DEFAULT_PIPELINE_TIMEOUT_MS = 3000;
/**
 * The time for which acknowledgements may be overdue. The acknowledgement window also needs time to follow the bit rate; in
 * all, a lost room is detected within ten seconds.
 */
const DEFAULT_ACKNOWLEDGEMENT_TIMEOUT_MS = 8000;
/** The number of checks for acknowledgements within the time for which they may be overdue. */
const LOOKS = 8;
/** The share of the start's time limit in which the first host must be reached, if there is a backup host to try after it. */
const DIAL_SHARE = 0.4;
/**
 * The time after the start of a push, in ms, within which the end of the connection most likely means that TRTC has refused the
 * content of the stream.
 */
const EARLY_END_MS = 5000;

export interface RtmpPublisherOptions {
  /** `rtmp(s)://host[:port]/app/key?query`. The whole URL is a secret. */
  readonly url: string;
  /** The URL of the same stream at another host, which is used if the first host cannot be resolved or reached. */
  readonly backupUrl?: string;
  /** The size of the chunks that are sent, bytes. */
  readonly chunkBytes?: number;
  /** Time limit from the first packet to the permission to publish, ms. */
  readonly startTimeoutMs?: number;
  /** Interval at which the queue is checked while leaving the room, ms. */
  readonly stopTimeoutMs?: number;
  /** Time limit for the answers to pipelined commands, after which the commands are sent one at a time, ms. */
  readonly pipelineTimeoutMs?: number;
  /** The time after which a room with overdue acknowledgements is considered lost, ms. */
  readonly acknowledgementTimeoutMs?: number;
  /** The servers that accept only one command at a time. The publishers of a process share it. */
  readonly memory?: PipelineMemory;
  /** Receives the room's answers, from which secrets have been removed. */
  readonly log?: { warn(fields: object, message: string): void };
  /** For rtmps, the PEM certificate of an authority to trust instead of the system's authorities. */
  readonly caCertificate?: string;
  /** The function that connects to the server. By default, the connection is direct. */
  readonly dial?: Dial;
}

type State =
  | { readonly name: "idle" }
  | { readonly name: "starting"; readonly abort: AbortController }
  | {
      readonly name: "publishing";
      readonly client: RtmpClient;
      readonly streamId: number;
      readonly sinceMs: number;
      readonly looks: NodeJS.Timeout;
    }
  | { readonly name: "ended" };

/**
 * Publishes over RTMP or RTMPS (Adobe RTMP 1.0, section 7.2). A publisher can be used only once: a new attempt needs a new one.
 */
export class RtmpPublisher implements Publisher {
  onEnded: ((error: RoomcastError) => void) | undefined;
  readonly #options: RtmpPublisherOptions;
  readonly #addresses: readonly PushAddress[];
  #address: PushAddress;
  readonly #secrets: readonly string[];
  #started = Promise.withResolvers<void>();
  #state: State = { name: "idle" };
  #client: RtmpClient | undefined;
  /**
   * True once the publish command has been sent. If the connection then ends without an answer, the room has most likely
   * refused the push.
   */
  #asked = false;
  /** The error that the room reported before it closed the connection. */
  #told: RoomcastError | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  /** @throws RoomcastError `InvalidParameterValue` if the URL is not an RTMP address. */
  constructor(options: RtmpPublisherOptions) {
    this.#options = options;
    const first = pushAddress(options.url);
    this.#address = first;
    this.#addresses = [first, ...(options.backupUrl === undefined ? [] : [pushAddress(options.backupUrl)])];
    this.#secrets = this.#addresses.flatMap(secretsOfPush);
    this.#started.promise.catch(() => undefined);
  }

  get queuedBytes(): number {
    return this.#client?.connection.writableLength ?? 0;
  }

  get sentBytes(): number {
    return this.#client?.connection.sentBytes ?? 0;
  }

  start(mayPublish: () => Promise<void>): Promise<void> {
    this.#starting ??= this.#start(mayPublish);
    return this.#starting;
  }

  async #start(mayPublish: () => Promise<void>): Promise<void> {
    if (this.#state.name !== "idle") throw stoppedBeforehand();
    const abort = new AbortController();
    this.#state = { name: "starting", abort };
    const timeoutMs = this.#options.startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS;
    const timer = setTimeout(() => abort.abort(this.#unreachable(`did not answer within ${timeoutMs} ms`)), timeoutMs);
    try {
      const opened = await this.#publish(abort.signal, timeoutMs, mayPublish);
      abort.signal.throwIfAborted();
      this.#state = { name: "publishing", ...opened, sinceMs: performance.now(), looks: this.#watch(opened.client) };
    } catch (thrown) {
      this.#state = { name: "ended" };
      this.#client?.connection.destroy();
      await this.#client?.connection.closed;
      throw this.#startError(thrown, abort.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  sendMetadata(metadata: StreamMetadata): void {
    const state = this.#state;
    if (state.name !== "publishing") return;
    const entries: Record<string, AmfObject[string]> = {
      videocodecid: 7,
      width: metadata.width,
      height: metadata.height,
      encoder: "Roomcast",
    };
    if (metadata.fps !== null) entries["framerate"] = metadata.fps;
    const values = ["@setDataFrame", "onMetaData", new AmfEcmaArray(entries)];
    state.client.connection.send(dataMessage(state.streamId, values));
  }

  send(media: OutgoingMedia): void {
    const state = this.#state;
    if (state.name !== "publishing") return;
    const video = media.kind === "video";
    state.client.connection.send({
      chunkStreamId: video ? CHUNK_STREAM.video : CHUNK_STREAM.audio,
      typeId: video ? MESSAGE.video : MESSAGE.audio,
      streamId: state.streamId,
      timestampMs: media.timestampMs,
      payload: media.payload,
    });
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const state = this.#state;
    this.#state = { name: "ended" };
    if (state.name === "starting") {
      state.abort.abort(stoppedBeforehand());
      await this.#starting?.catch(() => undefined);
    }
    if (state.name === "publishing") {
      const { client, streamId, looks } = state;
      clearInterval(looks);
      client.send(0, "FCUnpublish", null, this.#address.streamKey);
      client.send(0, "deleteStream", null, streamId);
      client.connection.end();
      await this.#left(client.connection);
    }
    await this.#client?.connection.closed;
  }

  /**
   * Waits until the room has received the rest of the queue. The connection is destroyed if the room accepts nothing, or is too
   * slow.
   */
  async #left(connection: RtmpClient["connection"]): Promise<void> {
    const taken = () => connection.sentBytes + connection.acknowledgements;
    let before = taken();
    let looks = 0;
    let idle = 0;
    const timer = setInterval(() => {
      const now = taken();
      looks += 1;
      idle = now === before ? idle + 1 : 0;
      before = now;
      if (idle >= MOST_IDLE_LOOKS || looks >= MOST_LOOKS) connection.destroy();
    }, this.#options.stopTimeoutMs ?? DEFAULT_STOP_TIMEOUT_MS);
    await connection.closed;
    clearInterval(timer);
  }

  async #publish(signal: AbortSignal, timeoutMs: number, mayPublish: () => Promise<void>): Promise<OpenStream> {
    const opened = await this.#open(signal, timeoutMs);
    const { client, streamId } = opened;
    const abort = () => client.connection.destroy();
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    try {
      // `#started` rejects if the connection ends while the permission is awaited.
      await Promise.race([mayPublish(), this.#started.promise]);
      signal.throwIfAborted();
      this.#asked = true;
      // Most rooms answer with a status, but some answer the command itself with an error.
      client
        .callOn(streamId, "publish", null, this.#address.streamKey, "live")
        .catch((thrown: unknown) => this.#started.reject(thrown));
      await this.#started.promise;
      return opened;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Connects to the first host that can be reached. */
  async #open(signal: AbortSignal, timeoutMs: number): Promise<OpenStream> {
    const { dial = directDial(this.#options.caCertificate), chunkBytes = DEFAULT_CHUNK_BYTES } = this.#options;
    const { pipelineTimeoutMs = DEFAULT_PIPELINE_TIMEOUT_MS, memory = new PipelineMemory() } = this.#options;
    for (const address of this.#addresses) {
      this.#address = address;
      const last = address === this.#addresses.at(-1);
      try {
        return await openPublishStream({
          address,
          dial,
          signal,
          chunkBytes,
          pipelineTimeoutMs,
          memory,
          ...(last ? {} : { dialTimeoutMs: timeoutMs * DIAL_SHARE }),
          onClient: (client) => this.#attend(client),
          onStatus: (client, status) => client === this.#client && this.#readStatus(status),
          onClose: (client, error) => client === this.#client && this.#closed(error),
        });
      } catch (thrown) {
        if (last || signal.aborted || !(thrown instanceof NotReachedError)) throw thrown;
        const why = reasonOf(thrown);
        this.#options.log?.warn(
          { room: this.#shown, why },
          "the room's host could not be reached, its backup is tried",
        );
      }
    }
    throw new Error("there was no address");
  }

  /** Makes a new connection the current one. What an earlier connection has reported is discarded. */
  #attend(client: RtmpClient): void {
    this.#client = client;
    this.#started = Promise.withResolvers<void>();
    this.#started.promise.catch(() => undefined);
  }

  /** Ends the publish if the room's acknowledgements are overdue. */
  #watch({ connection }: RtmpClient): NodeJS.Timeout {
    const timeoutMs = this.#options.acknowledgementTimeoutMs ?? DEFAULT_ACKNOWLEDGEMENT_TIMEOUT_MS;
    const watch = new AcknowledgementWatch(connection, { timeoutMs, nowMs: performance.now() });
    return setInterval(() => {
      if (watch.look(performance.now())) return;
      this.#told ??= new RoomcastError(
        "FailedOperation.RoomLost",
        `The room has acknowledged nothing for ${timeoutMs} ms (${this.#shown}); the connection was given up.`,
      );
      connection.destroy();
    }, timeoutMs / LOOKS);
  }

  #readStatus(status: RtmpStatus): void {
    const phase = this.#state.name === "publishing" ? "publishing" : "starting";
    const verdict = judgeRoomStatus(status, phase);
    if (verdict === "told") return;
    if (verdict === "started") {
      this.#started.resolve();
      return;
    }
    if (this.#stopping !== undefined) {
      // While the publisher leaves, this status is the room's confirmation that the publish has ended.
      this.#client?.connection.destroy();
      return;
    }
    this.#told ??= this.#verdictError(verdict, status);
    this.#started.reject(this.#told);
    this.#client?.connection.destroy();
  }

  #closed(error: Error | undefined): void {
    this.#started.reject(this.#told ?? error ?? new Error("closed"));
    const state = this.#state;
    if (state.name !== "publishing") return;
    clearInterval(state.looks);
    this.#state = { name: "ended" };
    const lastedMs = Math.round(performance.now() - state.sinceMs);
    const what = `The connection to the room broke (${this.#shown})`;
    const text = lastedMs < EARLY_END_MS ? `${what} ${lastedMs} ms after the push began. ${TRTC_REFUSAL_CAUSES}` : what;
    this.onEnded?.(this.#told ?? new RoomcastError("FailedOperation.RoomLost", `${text}.`, { cause: error }));
  }

  #startError(thrown: unknown, signal: AbortSignal): RoomcastError {
    if (signal.reason instanceof RoomcastError) return signal.reason;
    if (this.#told !== undefined) return this.#told;
    if (thrown instanceof RoomcastError) return thrown;
    if (thrown instanceof RtmpCallError) return this.#verdictError("refused", thrown.status);
    if (thrown instanceof NoStreamError) return this.#unreachable("gave no stream to publish on");
    if (this.#asked) {
      const why = `closed the connection without a reason when it was asked to let the push in. ${TRTC_REFUSAL_CAUSES}`;
      return this.#unreachable(why, thrown);
    }
    return this.#unreachable(`could not be reached: ${reasonOf(thrown)}`, thrown);
  }

  #verdictError(verdict: EndVerdict, status: RtmpStatus): RoomcastError {
    const starting = this.#state.name !== "publishing";
    const answer = shownText(status.raw ?? "", this.#secrets);
    this.#options.log?.warn({ room: this.#shown, verdict, answer }, "the room refused or ended the push");
    return roomVerdictError({ verdict, status, starting, secrets: this.#secrets });
  }

  #unreachable(why: string, cause?: unknown): RoomcastError {
    return new RoomcastError("FailedOperation.RoomUnreachable", `The room at ${this.#shown} ${why}.`, { cause });
  }

  get #shown(): string {
    return shownUrl(this.#address.url);
  }
}

function stoppedBeforehand(): RoomcastError {
  return new RoomcastError("FailedOperation.RoomUnreachable", "The push was stopped before the room had let it in.");
}
