import { connect, type Socket } from "node:net";
import { type AmfObject, amfEntries } from "@roomcast/worker/amf0";
import { RtmpConnection } from "@roomcast/worker/rtmp-connection";
import { CHUNK_STREAM, MESSAGE, type RtmpCommand, readCommand } from "@roomcast/worker/rtmp-message";

/** A bare RTMP publisher for tests. It sends exactly the given bytes and keeps all answers. */
export class RtmpTestClient {
  readonly heard: RtmpCommand[] = [];
  readonly #connection: RtmpConnection;
  #timestampMs = 0;

  private constructor(socket: Socket, ready: () => void) {
    this.#connection = new RtmpConnection({
      socket,
      role: "client",
      onReady: ready,
      onMessage: (message) => {
        const command = readCommand(message);
        if (command !== null) this.heard.push(command);
      },
      onClose: () => {},
    });
  }

  /** Connected, the handshake done. */
  static async connect(rtmpUrl: string): Promise<RtmpTestClient> {
    const url = new URL(rtmpUrl);
    const { promise, resolve } = Promise.withResolvers<void>();
    const client = new RtmpTestClient(connect(Number(url.port), url.hostname), resolve);
    await promise;
    return client;
  }

  /** Sends connect, createStream and publish at once, as a pipelining client does. */
  publish(streamKey: string, app = "push", chunkBytes = 1360): void {
    this.#connection.sendCommand(0, {
      name: "connect",
      transactionId: 1,
      values: [{ app, tcUrl: "rtmp://test/push" }],
    });
    this.#connection.setChunkSize(chunkBytes);
    this.#connection.sendCommand(0, { name: "createStream", transactionId: 2, values: [null] });
    this.#connection.sendCommand(1, { name: "publish", transactionId: 3, values: [null, streamKey, "live"] });
  }

  command(name: string): void {
    this.#connection.sendCommand(1, { name, transactionId: 9, values: [null, 1] });
  }

  /** Sends one picture of this size, 40 ms after the one before. */
  sendPicture(bytes = 64): void {
    const payload = Buffer.alloc(bytes);
    payload.set([0x17, 1]);
    this.sendVideo(payload);
  }

  /** One video message, 40 ms after the one before. */
  sendVideo(payload: Buffer): void {
    this.#timestampMs += 40;
    this.#connection.send({
      chunkStreamId: CHUNK_STREAM.video,
      typeId: MESSAGE.video,
      streamId: 1,
      timestampMs: this.#timestampMs,
      payload,
    });
  }

  /** The information objects of onStatus and _error, the oldest first. */
  get statuses(): AmfObject[] {
    return this.heard
      .filter((command) => command.name === "onStatus" || command.name === "_error")
      .map((command) => amfEntries(command.values[1]))
      .filter((status) => status !== null);
  }

  /** Bytes that the emulator does not take. */
  get stuckBytes(): number {
    return this.#connection.writableLength;
  }

  /** Resolves when the connection has closed, from whichever side. */
  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  async destroy(): Promise<void> {
    this.#connection.destroy();
    await this.closed;
  }
}
