import type { Socket } from "node:net";
import type { Seat } from "@roomcast/shared";
import { type AmfValue, amfEntries } from "@roomcast/worker/amf0";
import { RtmpConnection } from "@roomcast/worker/rtmp-connection";
import {
  isCommand,
  MESSAGE,
  type RtmpCommand,
  type RtmpMessage,
  readCommand,
  readData,
} from "@roomcast/worker/rtmp-message";
import { RtmpProtocolError } from "@roomcast/worker/rtmp-protocol-error";
import type { Admission } from "./admission.ts";
import { chunkRefusal, PushJudge } from "./push-judge.ts";
import { BAD_APP, BAD_NAME, type PushRefusal } from "./push-refusal.ts";
import type { SessionEndReason } from "./room-report.ts";
import type { RoomRules } from "./room-rules.ts";
import type { Publish, PublisherHandle } from "./seat-record.ts";

/** The functions of the rooms that a connection uses. */
export interface IngestRooms {
  readonly now: () => number;
  readonly rules: RoomRules;
  /** Records the refusal of a push with an unknown seat. */
  refused(refusal: PushRefusal): void;
  /** Judges a stream key; records a refusal. */
  admit(streamKey: string): Promise<Admission>;
  /** Gives the seat to this publisher. */
  enter(seat: Seat, handle: PublisherHandle): Publish;
}

export interface IngestLimits {
  /** From the TCP connection to the accepted publish, ms. */
  readonly publishWithinMs: number;
  /** A publisher that sends nothing for this time is removed, ms. */
  readonly silenceMs: number;
  /** For the last words of a refused publisher, ms. */
  readonly farewellMs: number;
}

type IngestState =
  | { readonly name: "connecting" }
  | { readonly name: "connected" }
  | { readonly name: "admitting"; readonly command: RtmpCommand }
  | { readonly name: "publishing"; readonly publish: Publish; readonly judge: PushJudge }
  | { readonly name: "closing" };

const APP = "push";
const STREAM_ID = 1;
const CHUNK_BYTES = 4096;
const WINDOW_BYTES = 2_500_000;
/** 1080p at the highest bit rates fits in it many times. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** One RTMP connection from outside: commands in, media handed to the room. Not more than one publish at a time. */
export class IngestSession implements PublisherHandle {
  readonly remoteAddress: string;
  readonly connectedAtMs: number;
  readonly #socket: Socket;
  readonly #rooms: IngestRooms;
  readonly #limits: IngestLimits;
  readonly #connection: RtmpConnection;
  #state: IngestState = { name: "connecting" };
  #deadline: NodeJS.Timeout;

  constructor(socket: Socket, rooms: IngestRooms, limits: IngestLimits) {
    this.#socket = socket;
    this.#rooms = rooms;
    this.#limits = limits;
    this.remoteAddress = `${socket.remoteAddress ?? "unknown"}:${socket.remotePort ?? 0}`;
    this.connectedAtMs = rooms.now();
    this.#connection = new RtmpConnection({
      socket,
      role: "server",
      onMessage: (message) => this.#take(message),
      onClose: (error) => {
        clearTimeout(this.#deadline);
        this.#leave(error instanceof RtmpProtocolError ? "malformed" : "disconnected");
        this.#state = { name: "closing" };
      },
      limits: { maxMessageBytes: MAX_MESSAGE_BYTES },
    });
    this.#deadline = setTimeout(() => this.#connection.destroy(), limits.publishWithinMs);
    socket.on("timeout", () => {
      this.#leave("silent");
      this.#connection.destroy();
    });
  }

  dismiss(refusal: PushRefusal): void {
    this.#sendStatus("error", refusal.code, refusal.description);
    this.#close();
  }

  drop(): void {
    this.#connection.destroy();
  }

  setReading(reading: boolean): void {
    if (reading) this.#connection.resume();
    else this.#connection.pause();
    // While the emulator does not read, the publisher does not count as silent.
    if (this.#state.name !== "closing") this.#socket.setTimeout(reading ? this.#limits.silenceMs : 0);
  }

  #take(message: RtmpMessage): void {
    switch (message.typeId) {
      case MESSAGE.video:
      case MESSAGE.audio:
        this.#takeMedia(message);
        return;
      case MESSAGE.dataAmf0:
      case MESSAGE.dataAmf3:
        this.#takeData(message);
        return;
      default: {
        const command = readCommand(message);
        if (command !== null) this.#obey(command);
        else if (isCommand(message)) throw new RtmpProtocolError("A command cannot be read.");
      }
    }
  }

  #takeMedia(message: RtmpMessage): void {
    if (this.#state.name !== "publishing") return;
    const { timestampMs, payload } = message;
    const { publish, judge } = this.#state;
    publish.take({ kind: message.typeId === MESSAGE.video ? "video" : "audio", timestampMs, payload });
    judge.look(this.#connection.peerChunkBytes);
  }

  #endPublish(publish: Publish, reason: SessionEndReason, refusal: PushRefusal | null): void {
    if (publish.ended) return;
    publish.end(reason);
    if (refusal === null) this.#connection.destroy();
    else this.dismiss(refusal);
  }

  #takeData(message: RtmpMessage): void {
    if (this.#state.name !== "publishing") return;
    const [first, ...rest] = readData(message) ?? [];
    const [handler, metadata] = first === "@setDataFrame" ? rest : [first, rest[0]];
    const entries = handler === "onMetaData" ? amfEntries(metadata) : null;
    if (entries !== null) this.#state.publish.measure.observeMetadata(entries);
  }

  #obey(command: RtmpCommand): void {
    switch (command.name) {
      case "connect":
        this.#connect(command);
        return;
      case "createStream":
        this.#answer(command, STREAM_ID);
        return;
      case "releaseStream":
      case "FCPublish":
        this.#answer(command);
        return;
      case "publish":
        this.#publish(command);
        return;
      case "FCUnpublish":
      case "closeStream":
      case "deleteStream":
        this.#unpublish();
        return;
      case "play":
        this.dismiss({
          code: "NetStream.Play.Failed",
          description: "This emulator does not play over RTMP: watch the room over HTTP.",
        });
        return;
      default:
    }
  }

  #connect(command: RtmpCommand): void {
    if (this.#state.name !== "connecting") return;
    const app = amfEntries(command.values[0])?.app;
    if (app !== APP) {
      this.#connection.sendCommand(0, {
        name: "_error",
        transactionId: command.transactionId,
        values: [null, status("error", BAD_APP, `The application name is wrong: expected "${APP}".`)],
      });
      this.#close();
      return;
    }
    this.#connection.setWindowAckSize(WINDOW_BYTES);
    this.#connection.setPeerBandwidth(WINDOW_BYTES);
    this.#connection.setChunkSize(CHUNK_BYTES);
    this.#connection.sendCommand(0, {
      name: "_result",
      transactionId: command.transactionId,
      values: [
        { fmsVer: "FMS/3,0,1,123", capabilities: 31 },
        {
          ...status("status", "NetConnection.Connect.Success", "Connected to a TRTC room emulator."),
          objectEncoding: 0,
        },
      ],
    });
    this.#state = { name: "connected" };
  }

  #publish(command: RtmpCommand): void {
    const streamKey = command.values[1];
    if (this.#state.name !== "connected" || typeof streamKey !== "string") {
      const description =
        this.#state.name === "connected"
          ? "publish has no stream key: expected <room>?sdkappid=…&userid=…&usersig=…."
          : "publish came out of turn: expected once, after connect.";
      this.dismiss({ code: BAD_NAME, description });
      return;
    }
    const chunkProblem = chunkRefusal(this.#connection.peerChunkBytes, this.#rooms.rules);
    if (chunkProblem !== null) {
      this.#rooms.refused(chunkProblem);
      this.#refuse(command, chunkProblem);
      return;
    }
    const admitting = { name: "admitting", command } as const;
    this.#state = admitting;
    this.#await(admitting, this.#rooms.admit(streamKey)).catch((thrown: unknown) =>
      this.#connection.destroy(thrown instanceof Error ? thrown : undefined),
    );
  }

  async #await(admitting: Extract<IngestState, { name: "admitting" }>, admission: Promise<Admission>): Promise<void> {
    const decided = await admission;
    // The publisher may have left meanwhile, and even asked again.
    if (this.#state === admitting) this.#enter(admitting.command, decided);
  }

  /** Turns a publish away in the way that the rules say. */
  #refuse(command: RtmpCommand, refusal: PushRefusal): void {
    const { refusals } = this.#rooms.rules;
    if (refusals === "status") {
      this.dismiss(refusal);
      return;
    }
    const { code, description } = refusal;
    const info = refusals === "command" ? status("error", code, description) : { description };
    const { transactionId } = command;
    if (refusals !== "silent") {
      this.#connection.sendCommand(0, { name: "_error", transactionId, values: [null, info] });
    }
    this.#close();
  }

  #enter(command: RtmpCommand, admission: Admission): void {
    if (!admission.ok) {
      this.#refuse(command, admission.refusal);
      return;
    }
    clearTimeout(this.#deadline);
    this.#sendStatus("status", "NetStream.Publish.Start", "The room has let this publisher in.");
    this.#socket.setTimeout(this.#limits.silenceMs);
    const publish = this.#rooms.enter(admission.seat, this);
    const end = (reason: SessionEndReason, refusal: PushRefusal | null) => this.#endPublish(publish, reason, refusal);
    this.#state = { name: "publishing", publish, judge: new PushJudge(publish.measure, this.#rooms.rules, end) };
  }

  #unpublish(): void {
    if (this.#state.name !== "publishing" && this.#state.name !== "admitting") return;
    this.#leave("left");
    this.#sendStatus("status", "NetStream.Unpublish.Success", "The publisher has left the room.");
    this.#state = { name: "connected" };
  }

  #leave(reason: SessionEndReason): void {
    if (this.#state.name !== "publishing") return;
    this.#state.judge.stop();
    this.#state.publish.end(reason);
  }

  /** Lets the last words out; a peer that does not close then is cut off. */
  #close(): void {
    if (this.#state.name === "closing") return;
    this.#leave("disconnected");
    this.#state = { name: "closing" };
    this.#connection.end();
    // Later bytes of the peer are read and discarded, because otherwise its close would not be noticed.
    this.#connection.resume();
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#connection.destroy(), this.#limits.farewellMs);
  }

  #answer(command: RtmpCommand, ...values: readonly AmfValue[]): void {
    this.#connection.sendCommand(0, {
      name: "_result",
      transactionId: command.transactionId,
      values: [null, ...values],
    });
  }

  #sendStatus(level: "status" | "error", code: string, description: string): void {
    this.#connection.sendCommand(STREAM_ID, {
      name: "onStatus",
      transactionId: 0,
      values: [null, status(level, code, description)],
    });
  }
}

function status(level: "status" | "error", code: string, description: string) {
  return { level, code, description };
}
