import { RoomcastError, shownUrl } from "@roomcast/shared";
import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { TagBodyNormaliser } from "../../media/flv/tag-body-normaliser.ts";
import { splitAggregate } from "../../rtmp/aggregate.ts";
import type { Dial } from "../../rtmp/dial-rtmp.ts";
import { MESSAGE, type RtmpMessage, readUserControl, USER_EVENT, userControl } from "../../rtmp/message.ts";
import { type RtmpAddress, rtmpAddresses, shownStream } from "../../rtmp/rtmp-address.ts";
import { createdStreamId, RtmpCallError, RtmpClient, type RtmpStatus } from "../../rtmp/rtmp-client.ts";
import { TimestampUnwrapper } from "../../rtmp/timestamp-unwrapper.ts";
import type { SourceEnd } from "../source.ts";
import { judgePullStatus, type PullVerdict } from "./pull-status.ts";
import { metadataTag, playStatusOf } from "./pulled-data.ts";
import { shownWords } from "./shown-words.ts";

const DEFAULT_START_TIMEOUT_MS = 10_000;
const DEFAULT_SILENCE_TIMEOUT_MS = 10_000;
/** The buffer length that the player announces, ms: the server may send this much ahead. */
const BUFFER_MS = 1000;
const WINDOW_BYTES = 2_500_000;
/** The most ways of splitting the URL into app and stream that are tried until the server knows the stream. */
const MAX_SPLITS = 3;

export interface RtmpPullerOptions {
  /** `rtmp(s)://host[:port]/app/stream?query`; it stays inside this process. */
  readonly url: string;
  /** Makes the connection. For a user's URL this is the egress guard. */
  readonly connect: Dial;
  /**
   * Called with media in any codec. H.264 and AAC have the original FLV headers, not those of Enhanced RTMP. If there
   * are several tracks of a kind, the first one is given. Timestamps do not wrap.
   */
  readonly onTag: (tag: FlvTag) => void;
  /** Called once if the stream ends after `start` without `stop()`. */
  readonly onEnd: (end: SourceEnd) => void;
  /** The longest time from the first packet to the permission to play, ms. */
  readonly startTimeoutMs?: number;
  /**
   * The longest time without media before the stream counts as lost, ms. It is needed because a server may keep the
   * connection open when the publisher leaves. It counts from the first media; the caller decides how long to wait for
   * those.
   */
  readonly silenceTimeoutMs?: number;
}

type State = "idle" | "starting" | "playing" | "ended";

/** Plays one RTMP stream (Adobe RTMP 1.0, section 7.2.2.1). An instance is used once. */
export class RtmpPuller {
  readonly #options: RtmpPullerOptions;
  readonly #addresses: readonly RtmpAddress[];
  #address: RtmpAddress;
  readonly #abort = new AbortController();
  #started = Promise.withResolvers<void>();
  readonly #clock = new TimestampUnwrapper();
  readonly #normalisers = { audio: new TagBodyNormaliser(), video: new TagBodyNormaliser() };
  #state: State = "idle";
  #client: RtmpClient | undefined;
  #starting: Promise<void> | undefined;
  #end: SourceEnd | undefined;
  #silence: NodeJS.Timeout | undefined;
  #paused = false;
  /** The progress of the `connect` command. */
  #admission: "connecting" | "asked" | "connected" = "connecting";

  /** @throws RoomcastError `InvalidParameterValue` if the URL is not an RTMP address. */
  constructor(options: RtmpPullerOptions) {
    const addresses = rtmpAddresses(options.url).slice(0, MAX_SPLITS);
    const [address] = addresses;
    if (address === undefined) {
      throw new RoomcastError(
        "InvalidParameterValue",
        "VideoSrc is not an RTMP address: expected rtmp or rtmps, a host, an app and a stream.",
      );
    }
    this.#options = options;
    this.#addresses = addresses;
    this.#address = address;
    this.#started.promise.catch(() => undefined);
  }

  /** The server, app and stream without secrets, for error texts. */
  get shown(): string {
    return `${shownUrl(this.#options.url)} (${shownStream(this.#address)})`;
  }

  /**
   * Connects and asks to play. If this fails, nothing is left open.
   *
   * @throws RoomcastError `FailedOperation.Source…`: NotFound, Forbidden, Unreachable, Timeout or Lost.
   */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Stops reading. This holds the server back, and the time without media does not count while paused. */
  pause(): void {
    this.#paused = true;
    clearTimeout(this.#silence);
    this.#client?.connection.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#client?.connection.resume();
    if (this.#state === "playing" && this.#silence !== undefined) this.#watchSilence();
  }

  /** Ends the connection. Idempotent; resolves when the socket has closed. */
  async stop(): Promise<void> {
    this.#state = "ended";
    clearTimeout(this.#silence);
    this.#abort.abort(new RoomcastError("FailedOperation.SourceLost", "The source was closed before it began."));
    await this.#starting?.catch(() => undefined);
    this.#client?.connection.destroy();
    await this.#client?.connection.closed;
  }

  async #start(): Promise<void> {
    const { signal } = this.#abort;
    const timeoutMs = this.#options.startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS;
    const late = new RoomcastError(
      "FailedOperation.SourceTimeout",
      `${this.shown} did not begin to play within ${timeoutMs} ms.`,
    );
    const timer = setTimeout(() => this.#abort.abort(late), timeoutMs);
    try {
      signal.throwIfAborted();
      this.#state = "starting";
      await this.#playKnownStream(signal);
      signal.throwIfAborted();
      // The stream may have ended at the same time as it began.
      if (this.#end !== undefined) throw endError(this.#end) ?? this.#failed("lost", "the stream is over").error;
      this.#state = "playing";
    } catch (thrown) {
      this.#state = "ended";
      this.#client?.connection.destroy();
      await this.#client?.connection.closed;
      throw this.#startError(thrown);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Plays the stream under the first name that the server knows. Servers split a URL of several segments differently
   * into app and stream, so after "not found" the next way is tried.
   */
  async #playKnownStream(signal: AbortSignal): Promise<void> {
    let first: RoomcastError | undefined;
    for (const address of this.#addresses) {
      this.#address = address;
      this.#end = undefined;
      this.#admission = "connecting";
      this.#started = Promise.withResolvers<void>();
      this.#started.promise.catch(() => undefined);
      try {
        await this.#negotiate(address, signal);
        return;
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        const error = this.#startError(thrown);
        first ??= error;
        if (!this.#mayKnowAnother(error)) throw error.code === "FailedOperation.SourceForbidden" ? error : first;
        this.#client?.connection.destroy();
        await this.#client?.connection.closed;
      }
    }
    throw first ?? new Error("there was no address");
  }

  #mayKnowAnother(error: RoomcastError): boolean {
    if (error.code === "FailedOperation.SourceNotFound") return true;
    // Servers reject an unknown app with various statuses, or close the connection without one.
    return this.#admission === "asked";
  }

  async #negotiate(address: RtmpAddress, signal: AbortSignal): Promise<void> {
    const { host, port, tls, app, tcUrl, streamKey } = address;
    const socket = await this.#options.connect({ host, port, tls, signal });
    const client = new RtmpClient({
      socket,
      onStatus: (status) => this.#judge(status),
      onMessage: (message) => this.#receive(message),
      onClose: (error) => this.#closed(error),
    });
    this.#client = client;
    const abort = () => client.connection.destroy();
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    try {
      await client.ready;
      // The commands are not pipelined as a publisher's are, because some servers of sources cannot read pipelined
      // commands.
      const player = { app, tcUrl, fpad: false, capabilities: 15, audioCodecs: 4071, videoCodecs: 252 };
      this.#admission = "asked";
      await client.call("connect", { ...player, flashVer: "LNX 9,0,124,2", videoFunction: 1 });
      this.#admission = "connected";
      client.connection.setWindowAckSize(WINDOW_BYTES);
      const streamId = createdStreamId(await client.call("createStream", null));
      if (streamId === null) throw new Error("no stream was given");
      client.send(streamId, "play", null, streamKey);
      client.connection.send(userControl(USER_EVENT.setBufferLength, streamId, BUFFER_MS));
      await this.#started.promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  #receive(message: RtmpMessage): void {
    if (message.typeId === MESSAGE.userControl) {
      if (readUserControl(message)?.event === USER_EVENT.streamEof)
        this.#finish(this.#failed("lost", "the stream ended"));
      return;
    }
    for (const part of splitAggregate(message)) this.#receivePart(part);
  }

  #receivePart(message: RtmpMessage): void {
    if (this.#state === "ended") return;
    if (message.typeId === MESSAGE.audio || message.typeId === MESSAGE.video) {
      this.#receiveMedia(message.typeId === MESSAGE.audio ? "audio" : "video", message);
      return;
    }
    const code = playStatusOf(message);
    if (code !== null) {
      this.#judge({ level: "status", code, description: "" });
      return;
    }
    const metadata = metadataTag(message);
    if (metadata !== null) this.#options.onTag(metadata);
  }

  #receiveMedia(kind: "audio" | "video", message: RtmpMessage): void {
    // Media also count as the start, because some servers send no status before them.
    this.#started.resolve();
    if (this.#silence === undefined) this.#watchSilence();
    else if (!this.#paused) this.#silence.refresh();
    const timestampMs = this.#clock.unwrap(message.timestampMs);
    const payload = this.#normalisers[kind].normalise(kind, message.payload);
    if (payload !== null) this.#options.onTag({ kind, timestampMs, payload });
  }

  #judge(status: RtmpStatus): void {
    const verdict = judgePullStatus(status, this.#state === "playing" ? "playing" : "starting");
    if (verdict === "ignored") return;
    if (verdict === "started") this.#started.resolve();
    else if (verdict === "finished") this.#finish({ name: "finished" });
    else this.#finish(this.#failed(verdict, this.#said(status)));
  }

  /** Ends the stream. Later calls have no effect. */
  #finish(end: SourceEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    clearTimeout(this.#silence);
    this.#started.reject(endError(end) ?? this.#failed("lost", "the stream is over").error);
    this.#client?.connection.destroy();
    if (this.#state !== "playing") return;
    this.#state = "ended";
    this.#options.onEnd(end);
  }

  #closed(cause: Error | undefined): void {
    this.#finish(this.#failed("lost", "the connection was closed", cause));
  }

  #watchSilence(): void {
    clearTimeout(this.#silence);
    if (this.#paused) return;
    const timeoutMs = this.#options.silenceTimeoutMs ?? DEFAULT_SILENCE_TIMEOUT_MS;
    this.#silence = setTimeout(() => {
      this.#finish(this.#failed("lost", `nothing has come for ${timeoutMs} ms`));
    }, timeoutMs);
  }

  #startError(thrown: unknown): RoomcastError {
    const reason: unknown = this.#abort.signal.reason;
    if (reason instanceof RoomcastError) return reason;
    if (thrown instanceof RoomcastError) return thrown;
    const told = this.#end === undefined ? undefined : endError(this.#end);
    if (told !== undefined && told.code !== "FailedOperation.SourceLost") return told;
    if (thrown instanceof RtmpCallError) {
      const verdict = judgePullStatus(thrown.status);
      return this.#failed(verdict === "notFound" ? "notFound" : "refused", this.#said(thrown.status)).error;
    }
    return new RoomcastError("FailedOperation.SourceUnreachable", `${this.shown} could not be reached by RTMP.`, {
      cause: thrown,
    });
  }

  #failed(
    verdict: Exclude<PullVerdict, "started" | "ignored" | "finished">,
    why: string,
    cause?: unknown,
  ): Extract<SourceEnd, { name: "failed" }> {
    const [code, what] = VERDICT_ERRORS[verdict];
    return { name: "failed", error: new RoomcastError(code, `${this.shown} ${what}: ${why}.`, { cause }) };
  }

  #said(status: RtmpStatus): string {
    return shownWords(status, this.#address);
  }
}

const VERDICT_ERRORS = {
  notFound: ["FailedOperation.SourceNotFound", "has no such stream"],
  refused: ["FailedOperation.SourceForbidden", "refuses to play"],
  lost: ["FailedOperation.SourceLost", "was lost"],
} as const;

function endError(end: SourceEnd): RoomcastError | undefined {
  return end.name === "failed" ? end.error : undefined;
}
