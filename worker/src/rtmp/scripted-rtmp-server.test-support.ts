import net from "node:net";
import type { AmfValue } from "./amf0.ts";
import { type RtmpCommand, type RtmpMessage, readCommand } from "./message.ts";
import { RtmpConnection } from "./rtmp-connection.ts";

/** One client of a scripted server. */
export interface ScriptedPeer {
  readonly connection: RtmpConnection;
  readonly commands: RtmpCommand[];
  readonly messages: RtmpMessage[];
  status(level: string, code: string, description?: string): void;
  answer(command: RtmpCommand, ...values: readonly AmfValue[]): void;
}

export type Script = (peer: ScriptedPeer, command: RtmpCommand) => void;

/** Accepts every client: answers `connect` and `createStream` (with stream 1), and no other command. */
export const admit: Script = (peer, command) => {
  if (command.name === "connect") peer.answer(command, {}, { level: "status", code: "NetConnection.Connect.Success" });
  if (command.name === "createStream") peer.answer(command, null, 1);
};

/** An RTMP server on a free loopback port that a test scripts. For tests. */
export class ScriptedRtmpServer {
  readonly peers: ScriptedPeer[] = [];
  readonly port: number;
  readonly #server: net.Server;
  readonly #script: Script;

  /** @param script called for each command. */
  static async start(script: Script): Promise<ScriptedRtmpServer> {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new ScriptedRtmpServer(server, script);
  }

  constructor(server: net.Server, script: Script) {
    this.#server = server;
    this.#script = script;
    // SAFETY: a listening TCP server's address is an AddressInfo.
    this.port = (server.address() as net.AddressInfo).port;
    server.on("connection", (socket) => this.#accept(socket));
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const peer of this.peers) peer.connection.destroy();
    await closed;
  }

  #accept(socket: net.Socket): void {
    const peer: ScriptedPeer = {
      commands: [],
      messages: [],
      connection: new RtmpConnection({
        socket,
        role: "server",
        onMessage: (message) => {
          const command = readCommand(message);
          if (command === null) {
            peer.messages.push(message);
            return;
          }
          peer.commands.push(command);
          this.#script(peer, command);
        },
        onClose: () => undefined,
      }),
      status: (level, code, description = "") => {
        const values = [null, { level, code, description }];
        peer.connection.sendCommand(1, { name: "onStatus", transactionId: 0, values });
      },
      answer: ({ transactionId }, ...values) => {
        peer.connection.sendCommand(0, { name: "_result", transactionId, values });
      },
    };
    this.peers.push(peer);
  }
}
