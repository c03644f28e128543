import { type ErrorCode, RoomcastError, shownText, shownUrl } from "@roomcast/shared";
import { AmfEcmaArray, type AmfObject } from "../rtmp/amf0.ts";
import { type Dial, directDial } from "../rtmp/dial-rtmp.ts";
import { CHUNK_STREAM, dataMessage, MESSAGE } from "../rtmp/message.ts";
import { parseRtmpUrl, type RtmpAddress } from "../rtmp/rtmp-address.ts";
import { createdStreamId, RtmpCallError, RtmpClient, type RtmpStatus } from "../rtmp/rtmp-client.ts";
import type { OutgoingMedia, Publisher, StreamMetadata } from "./publisher.ts";
import { judgeRoomStatus } from "./trtc-refusal.ts";

/** Far above the 128 of the start: nearly every message is one chunk, and servers take it. */
const CHUNK_BYTES = 60_000;
const DEFAULT_START_TIMEOUT_MS = 10_000;
/** How long the room has to take what is queued, and to close its side, when we leave. */
const DEFAULT_STOP_TIMEOUT_MS = 2000;

export interface RtmpPublisherOptions {
  /** `rtmp(s)://host[:port]/app/key?query`. It is a secret as a whole. */
  readonly url: string;
  /** From the first packet to the permission to publish. */
  readonly startTimeoutMs?: number;
  readonly stopTimeoutMs?: number;
  /** For rtmps: the PEM certificate of an authority to trust in place of the system's. */
  readonly caCertificate?: string;
  /** In place of a direct connection. */
  readonly dial?: Dial;
}

const VERDICT_ERRORS = {
  refused: ["FailedOperation.RoomRefused", "The room refused the push"],
  replaced: ["FailedOperation.RoomReplaced", "Another publisher with the same UserId took the place in the room"],
  lost: ["FailedOperation.RoomLost", "The room ended the push"],
} as const satisfies Record<string, readonly [ErrorCode, string]>;

/** What a stream key's query says that a refusal may repeat. */
const PUBLIC_PARAMETERS = new Set(["sdkappid", "userid", "use_number_room_id"]);

type State =
  | { readonly name: "idle" }
  | { readonly name: "starting"; readonly abort: AbortController }
  | { readonly name: "publishing"; readonly client: RtmpClient; readonly streamId: number }
  | { readonly name: "ended" };

/** Publishes over RTMP or RTMPS (Adobe RTMP 1.0, section 7.2). One use: a new attempt needs a new publisher. */
export class RtmpPublisher implements Publisher {
  onEnded: ((error: RoomcastError) => void) | undefined;
  readonly #options: RtmpPublisherOptions;
  readonly #address: RtmpAddress;
  readonly #secrets: readonly string[];
  readonly #started = Promise.withResolvers<void>();
  #state: State = { name: "idle" };
  #client: RtmpClient | undefined;
  /** Why the room ended the publish, where it said so before it closed. */
  #told: RoomcastError | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  /** @throws RoomcastError `InvalidParameterValue` for a URL that is no RTMP address. */
  constructor(options: RtmpPublisherOptions) {
    const address = parseRtmpUrl(options.url);
    if (address === null) {
      throw new RoomcastError("InvalidParameterValue", "The room's address is no rtmp(s)://host/app/key URL.");
    }
    this.#options = options;
    this.#address = address;
    const query = [...(URL.parse(options.url)?.searchParams ?? [])];
    this.#secrets = [
      address.streamKey,
      ...query.filter(([name]) => !PUBLIC_PARAMETERS.has(name)).map(([, value]) => value),
    ];
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
      const streamId = await this.#negotiate(abort.signal, mayPublish);
      abort.signal.throwIfAborted();
      if (this.#client === undefined) throw new Error("there is no client after negotiation");
      this.#state = { name: "publishing", client: this.#client, streamId };
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
      const { client, streamId } = state;
      client.send(0, "FCUnpublish", null, this.#address.streamKey);
      client.send(0, "deleteStream", null, streamId);
      client.connection.end();
      const timeoutMs = this.#options.stopTimeoutMs ?? DEFAULT_STOP_TIMEOUT_MS;
      const timer = setTimeout(() => client.connection.destroy(), timeoutMs);
      await client.connection.closed;
      clearTimeout(timer);
    }
    await this.#client?.connection.closed;
  }

  /** Three round trips after TCP: handshake; connect to createStream in one go; publish. */
  async #negotiate(signal: AbortSignal, mayPublish: () => Promise<void>): Promise<number> {
    const { host, port, tls, app, tcUrl, streamKey } = this.#address;
    const dial = this.#options.dial ?? directDial(this.#options.caCertificate);
    const socket = await dial({ host, port, tls, signal });
    const client = new RtmpClient({
      socket,
      onStatus: (status) => this.#readStatus(status),
      // A publisher is sent nothing that it needs.
      onMessage: () => undefined,
      onClose: (error) => this.#closed(error),
    });
    this.#client = client;
    const abort = () => client.connection.destroy();
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    try {
      await client.ready;
      client.connection.setChunkSize(CHUNK_BYTES);
      const connected = client.call("connect", { app, type: "nonprivate", flashVer: "FMLE/3.0 (Roomcast)", tcUrl });
      client.send(0, "releaseStream", null, streamKey);
      client.send(0, "FCPublish", null, streamKey);
      const created = client.call("createStream", null);
      await connected;
      const streamId = createdStreamId(await created);
      if (streamId === null) throw this.#unreachable("gave no stream to publish on");
      // Rejected where the connection ends meanwhile.
      await Promise.race([mayPublish(), this.#started.promise]);
      signal.throwIfAborted();
      client.send(streamId, "publish", null, streamKey, "live");
      await this.#started.promise;
      return streamId;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  #readStatus(status: RtmpStatus): void {
    const phase = this.#state.name === "publishing" ? "publishing" : "starting";
    const verdict = judgeRoomStatus(status, phase);
    if (verdict === "told") return;
    if (verdict === "started") {
      this.#started.resolve();
      return;
    }
    this.#told ??= this.#verdictError(verdict, status);
    this.#started.reject(this.#told);
    this.#client?.connection.destroy();
  }

  #closed(error: Error | undefined): void {
    this.#started.reject(this.#told ?? error ?? new Error("closed"));
    if (this.#state.name !== "publishing") return;
    this.#state = { name: "ended" };
    const lost = new RoomcastError("FailedOperation.RoomLost", `The connection to the room broke (${this.#shown}).`, {
      cause: error,
    });
    this.onEnded?.(this.#told ?? lost);
  }

  #startError(thrown: unknown, signal: AbortSignal): RoomcastError {
    if (signal.reason instanceof RoomcastError) return signal.reason;
    if (this.#told !== undefined) return this.#told;
    if (thrown instanceof RoomcastError) return thrown;
    if (thrown instanceof RtmpCallError) return this.#verdictError("refused", thrown.status);
    return this.#unreachable(`could not be reached: ${reasonOf(thrown)}`, thrown);
  }

  #verdictError(verdict: keyof typeof VERDICT_ERRORS, status: RtmpStatus): RoomcastError {
    const words = [status.code, status.description].filter((part) => part !== "").join(": ");
    const said = shownText(words, this.#secrets).slice(0, 500);
    const [code, what] = VERDICT_ERRORS[verdict];
    return new RoomcastError(code, `${what} (${said}).`);
  }

  #unreachable(why: string, cause?: unknown): RoomcastError {
    return new RoomcastError("FailedOperation.RoomUnreachable", `The room at ${this.#shown} ${why}.`, { cause });
  }

  get #shown(): string {
    return shownUrl(this.#options.url);
  }
}

function stoppedBeforehand(): RoomcastError {
  return new RoomcastError("FailedOperation.RoomUnreachable", "The push was stopped before the room had let it in.");
}

/** A socket error's code; its message may repeat what was asked for. */
function reasonOf(thrown: unknown): string {
  if (thrown instanceof Error && "code" in thrown && typeof thrown.code === "string") return thrown.code;
  return thrown instanceof Error && thrown.name === "RtmpProtocolError"
    ? "it does not speak RTMP"
    : "it closed the connection";
}
