import type { Socket } from "node:net";
import { ChunkReader, type ChunkReaderLimits } from "./chunk-reader.ts";
import { ChunkWriter } from "./chunk-writer.ts";
import { Handshake } from "./handshake.ts";
import {
  acknowledgement,
  commandMessage,
  MESSAGE,
  type RtmpCommand,
  type RtmpMessage,
  readControlNumber,
  readUserControl,
  setPeerBandwidth,
  USER_EVENT,
  userControl,
  windowAckSize,
} from "./message.ts";

export interface RtmpConnectionOptions {
  /** A connected socket (net or TLS), which the RtmpConnection owns from now on. */
  readonly socket: Socket;
  readonly role: "client" | "server";
  /** Called when the handshake is done and commands may be sent. */
  readonly onReady?: () => void;
  /**
   * Called for every message except those that the connection handles (acknowledgements, windows, pings, chunk sizes).
   */
  readonly onMessage: (message: RtmpMessage) => void;
  /**
   * Called once, after the socket has closed. The error is the cause: an RtmpProtocolError, a socket error, or what
   * `onMessage` threw. It is undefined if one side closed the connection normally.
   */
  readonly onClose: (error: Error | undefined) => void;
  readonly limits?: Partial<ChunkReaderLimits>;
}

/** One side of an RTMP connection: handshake, chunks, flow control (Adobe RTMP 1.0, sections 5.2 to 5.4). */
export class RtmpConnection {
  readonly #options: RtmpConnectionOptions;
  readonly #socket: Socket;
  readonly #reader: ChunkReader;
  readonly #writer: ChunkWriter;
  readonly #closed = Promise.withResolvers<void>();
  #handshake: Handshake | null;
  #error: Error | undefined;
  #corked = false;
  #receivedBytes = 0;
  #reportedBytes = 0;
  /** The number of bytes after which the peer expects an acknowledgement (section 5.4.4). */
  #ackWindowBytes = Number.POSITIVE_INFINITY;
  #announcedWindowBytes = 0;
  #acknowledgedBytes = 0;
  #acknowledgements = 0;
  #writtenBytes = 0;
  #sentBytes = 0;

  constructor(options: RtmpConnectionOptions) {
    this.#options = options;
    this.#socket = options.socket;
    // Nagle's algorithm with delayed acknowledgements costs about 40 ms per round trip of commands.
    this.#socket.setNoDelay(true);
    this.#reader = new ChunkReader((message) => this.#receive(message), options.limits);
    this.#writer = new ChunkWriter((slice) => this.#write(slice));
    this.#handshake = new Handshake(options.role, (bytes) => this.#write(bytes));
    this.#socket.on("data", (data) => this.#read(data));
    this.#socket.on("error", (error) => {
      this.#error ??= error;
    });
    // A connection that the peer has half closed is useless, because the peer will not send any answer.
    this.#socket.on("end", () => this.#socket.destroy());
    this.#socket.once("close", () => {
      this.#closed.resolve();
      options.onClose(this.#error);
    });
  }

  /** Resolves when the socket has closed. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** The number of bytes that were accepted for sending but are not sent yet. */
  get writableLength(): number {
    return this.#socket.writableLength;
  }

  /** The number of bytes that the network has accepted. After the connection broke, this is the last known value. */
  get sentBytes(): number {
    if (this.#socket.writableFinished) return this.#writtenBytes;
    // A destroyed socket no longer reports its queue.
    if (!this.#socket.destroyed) this.#sentBytes = this.#writtenBytes - this.#socket.writableLength;
    return this.#sentBytes;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** The size of the chunks that the peer sends. */
  get peerChunkBytes(): number {
    return this.#reader.chunkBytes;
  }

  /** The number of bytes, modulo 2^32, that the peer has reported in its last acknowledgement (section 5.4.3). */
  get acknowledgedBytes(): number {
    return this.#acknowledgedBytes;
  }

  /** The number of acknowledgements that the peer has sent. */
  get acknowledgements(): number {
    return this.#acknowledgements;
  }

  /** The acknowledgement window that the peer was last asked for, bytes; 0 if it was never asked. */
  get announcedWindowBytes(): number {
    return this.#announcedWindowBytes;
  }

  /** The number of bytes that were accepted for sending, including those that are not sent yet. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Sends a message. The payload is copied. Messages of the same event loop iteration are sent with one system call. */
  send(message: RtmpMessage): void {
    this.#writer.write(message);
  }

  sendCommand(streamId: number, command: RtmpCommand): void {
    this.send(commandMessage(streamId, command));
  }

  /** Sets the size of the chunks that are sent from now on, bytes. */
  setChunkSize(sizeBytes: number): void {
    this.#writer.setChunkSize(sizeBytes);
  }

  /** Asks the peer to send an acknowledgement each time that it has received this many bytes. */
  setWindowAckSize(sizeBytes: number): void {
    this.#announcedWindowBytes = sizeBytes;
    this.send(windowAckSize(sizeBytes));
  }

  setPeerBandwidth(sizeBytes: number): void {
    this.send(setPeerBandwidth(sizeBytes));
  }

  /** Stops reading from the socket, so that the peer must send more slowly. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends what is queued, and then closes the connection. The caller must limit the time that this may take. */
  end(): void {
    this.#socket.end();
  }

  /** Closes the connection at once. Can be called more than once. */
  destroy(error?: Error): void {
    this.#error ??= error;
    this.#sentBytes = this.sentBytes;
    this.#socket.destroy();
  }

  #write(bytes: Buffer): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    if (!this.#corked) {
      // A stream writes several slices at a time. Corking lets one system call send all of them, which matters because many
      // streams share this process.
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#writtenBytes += bytes.length;
    this.#socket.write(bytes);
  }

  #read(data: Buffer): void {
    this.#receivedBytes += data.length;
    try {
      if (this.#handshake === null) {
        this.#reader.push(data);
      } else {
        const rest = this.#handshake.push(data);
        if (rest === null) return;
        this.#handshake = null;
        this.#options.onReady?.();
        this.#reader.push(rest);
      }
      this.#acknowledge();
    } catch (thrown) {
      this.destroy(thrown instanceof Error ? thrown : new Error("A message could not be handled.", { cause: thrown }));
    }
  }

  #receive(message: RtmpMessage): void {
    if (this.#socket.destroyed) return;
    switch (message.typeId) {
      case MESSAGE.setChunkSize:
      case MESSAGE.abort:
        return;
      case MESSAGE.acknowledgement:
      case MESSAGE.windowAckSize:
      case MESSAGE.setPeerBandwidth:
        // A control message that is cut short is ignored.
        if (message.payload.length >= 4) this.#control(message.typeId, readControlNumber(message));
        return;
      case MESSAGE.userControl: {
        const event = readUserControl(message);
        if (event?.event === USER_EVENT.pingRequest) this.send(userControl(USER_EVENT.pingResponse, event.value));
        else if (event !== null && event.event !== USER_EVENT.pingResponse) this.#options.onMessage(message);
        return;
      }
      default:
        this.#options.onMessage(message);
    }
  }

  #control(typeId: number, value: number): void {
    if (typeId === MESSAGE.acknowledgement) {
      this.#acknowledgedBytes = value;
      this.#acknowledgements += 1;
    } else if (typeId === MESSAGE.windowAckSize) {
      // A window of 0 means that the peer wants no acknowledgements.
      this.#ackWindowBytes = value === 0 ? Number.POSITIVE_INFINITY : value;
    } else if (value !== 0 && value !== this.#announcedWindowBytes) {
      // Set Peer Bandwidth is answered with the window size if that differs from the last one sent (section 5.4.5).
      this.setWindowAckSize(value);
    }
  }

  /**
   * Sends an acknowledgement once half of the window has been received. Other clients do the same, and a strict peer then never
   * has to wait for one.
   */
  #acknowledge(): void {
    if (this.#receivedBytes - this.#reportedBytes < this.#ackWindowBytes / 2) return;
    this.#reportedBytes = this.#receivedBytes;
    this.send(acknowledgement(this.#receivedBytes));
  }
}
