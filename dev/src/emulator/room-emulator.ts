import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type SecureContextOptions } from "node:tls";
import type { Room, Seat } from "@roomcast/shared";
import { admit } from "./admission.ts";
import type { EmulatedApps } from "./emulated-apps.ts";
import { FaultSwitches, type RefuseNextOptions } from "./fault-switches.ts";
import type { FlvOutput } from "./flv-viewer.ts";
import { handleHttp } from "./http-routes.ts";
import { type IngestLimits, IngestSession } from "./ingest-session.ts";
import { closeServer, listen } from "./listener.ts";
import { KICKED, type PushRefusal } from "./push-refusal.ts";
import { type RoomQuery, RoomRegistry } from "./room-registry.ts";
import type { RoomListReport, RoomReport, SessionEndReason } from "./room-report.ts";
import { DOCUMENTED_RULES, type RoomRules } from "./room-rules.ts";
import type { PublisherHandle } from "./seat-record.ts";

export interface RoomEmulatorOptions {
  /** SdkAppId → SecretKey of each application that may publish. */
  readonly apps: EmulatedApps;
  /** The address to listen on; default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly rtmpPort?: number;
  readonly httpPort?: number;
  /** Listens for RTMP over TLS as well. */
  readonly rtmps?: { readonly port?: number } & Pick<SecureContextOptions, "key" | "cert">;
  /**
   * Keeps each publisher's newest group of pictures, so that viewers see a picture at once (default). Without it they
   * begin at the next keyframe, and the emulator holds no media.
   */
  readonly keepsGroup?: boolean;
  readonly limits?: Partial<IngestLimits>;
  /** Rules that differ from TRTC's documents. */
  readonly rules?: Partial<RoomRules>;
  /** Unix ms. */
  readonly now?: () => number;
}

const DEFAULT_LIMITS: IngestLimits = { publishWithinMs: 15_000, silenceMs: 60_000, farewellMs: 2000 };
const MAX_CONNECTIONS = 1000;

/** A stand-in for TRTC's rooms: takes RTMP pushes as TRTC does, measures them, and shows them over HTTP. */
export class RoomEmulator {
  /** `rtmp://<host>:<port>/push`; a room's address adds `/<room>?sdkappid=…`. */
  rtmpUrl = "";
  /** Undefined if the emulator does not listen for TLS. */
  rtmpsUrl: string | undefined;
  /** `http://<host>:<port>`, without a slash at its end. */
  httpUrl = "";
  readonly #options: RoomEmulatorOptions;
  readonly #now: () => number;
  readonly #rules: RoomRules;
  readonly #registry: RoomRegistry;
  readonly #faults = new FaultSwitches();
  /** Of RTMP, below TLS, so that those in the middle of a TLS handshake can be ended too. */
  readonly #sockets = new Set<Socket>();
  readonly #rtmp: Server;
  readonly #rtmps: Server | undefined;
  readonly #http: HttpServer;
  #stopped: Promise<void> | undefined;

  private constructor(options: RoomEmulatorOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#rules = { ...DOCUMENTED_RULES, ...options.rules };
    const { userIdPerApp } = this.#rules;
    this.#registry = new RoomRegistry({ now: this.#now, keepsGroup: options.keepsGroup ?? true, userIdPerApp });
    const serve = (socket: Socket) => this.#serve(socket);
    this.#rtmp = createServer({ noDelay: true }, serve);
    this.#own(this.#rtmp);
    if (options.rtmps !== undefined) {
      this.#rtmps = createTlsServer({ key: options.rtmps.key, cert: options.rtmps.cert, noDelay: true }, serve);
      this.#own(this.#rtmps);
    }
    this.#http = createHttpServer((request, response) => {
      void handleHttp(this, request, response);
    });
  }

  /** Listens on all ports, or on none and rejects. */
  static async start(options: RoomEmulatorOptions): Promise<RoomEmulator> {
    const emulator = new RoomEmulator(options);
    try {
      await emulator.#listen();
    } catch (thrown) {
      await emulator.stop();
      throw thrown;
    }
    return emulator;
  }

  /** Everything that was seen since the start. */
  report(): RoomListReport {
    return { emulator: true, rooms: this.rooms(), refusals: this.#registry.refusals };
  }

  /** Every room that was published to, the latest first. */
  rooms(): RoomReport[] {
    return this.#registry.rooms();
  }

  /** The one room that the query means; else how many it means. */
  findRoom(query: RoomQuery): { readonly room: Room; readonly sdkAppId: number } | number {
    return this.#registry.find(query);
  }

  /** Streams a seat as FLV into `output` until either ends. Returns a function that leaves, or undefined if nobody publishes. */
  watch(seat: Seat, output: FlvOutput): (() => void) | undefined {
    return this.#registry.publishOn(seat)?.relay.watch(output);
  }

  /** Puts a publisher out with an onStatus error, as a room's owner does. False: nobody publishes there. */
  kick(seat: Seat): boolean {
    return this.#end(seat, "kicked", (handle) =>
      handle.dismiss({ code: KICKED, description: "The user was put out of the room." }),
    );
  }

  /** Cuts a publisher's connection without a word. False: nobody publishes there. */
  drop(seat: Seat): boolean {
    return this.#end(seat, "dropped", (handle) => handle.drop());
  }

  /** Reads nothing more from this seat's publisher, present and coming, so that it feels back-pressure. */
  stall(seat: Seat): void {
    this.#faults.stall(seat);
    this.#registry.publishOn(seat)?.handle.setReading(false);
  }

  unstall(seat: Seat): void {
    this.#faults.unstall(seat);
    this.#registry.publishOn(seat)?.handle.setReading(true);
  }

  /** Refuses publishes that would have been let in. */
  refuseNext(options: RefuseNextOptions = {}): void {
    this.#faults.refuseNext(options);
  }

  faults(): ReturnType<FaultSwitches["report"]> {
    return this.#faults.report();
  }

  clearFaults(): void {
    this.#faults.clear();
    for (const publish of this.#registry.publishes()) publish.handle.setReading(true);
  }

  /** Idempotent; resolves when every socket is closed. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #listen(): Promise<void> {
    const host = this.#options.host ?? "127.0.0.1";
    const shownHost = host.includes(":") ? `[${host}]` : host;
    this.rtmpUrl = `rtmp://${shownHost}:${await listen(this.#rtmp, this.#options.rtmpPort ?? 0, host)}/push`;
    if (this.#rtmps !== undefined) {
      this.rtmpsUrl = `rtmps://${shownHost}:${await listen(this.#rtmps, this.#options.rtmps?.port ?? 0, host)}/push`;
    }
    this.httpUrl = `http://${shownHost}:${await listen(this.#http, this.#options.httpPort ?? 0, host)}`;
  }

  async #stop(): Promise<void> {
    const servers = [this.#rtmp, this.#http, ...(this.#rtmps === undefined ? [] : [this.#rtmps])];
    const closed = servers.map(closeServer);
    for (const publish of this.#registry.publishes()) publish.end("emulator-stopped");
    for (const socket of this.#sockets) socket.destroy();
    this.#http.closeAllConnections();
    await Promise.all(closed);
  }

  #own(server: Server): void {
    server.maxConnections = MAX_CONNECTIONS;
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  #serve(socket: Socket): void {
    const rooms = {
      now: this.#now,
      rules: this.#rules,
      refused: (refusal: PushRefusal) => this.#registry.refused(null, refusal),
      admit: (streamKey: string) => this.#admit(streamKey),
      enter: (seat: Seat, handle: PublisherHandle) => {
        const publish = this.#registry.begin(seat, handle);
        if (this.#faults.isStalled(seat)) handle.setReading(false);
        return publish;
      },
    };
    // Its socket keeps the session alive, and ends it.
    void new IngestSession(socket, rooms, { ...DEFAULT_LIMITS, ...this.#options.limits });
  }

  async #admit(streamKey: string): ReturnType<typeof admit> {
    const judged = await admit(streamKey, {
      apps: this.#options.apps,
      nowMs: this.#now(),
      mapKeyApps: this.#rules.mapKeyApps,
    });
    const fault = judged.ok ? this.#faults.takeRefusal(judged.seat) : undefined;
    const admission =
      judged.ok && fault !== undefined ? { ok: false as const, seat: judged.seat, refusal: fault } : judged;
    if (!admission.ok) this.#registry.refused(admission.seat, admission.refusal);
    return admission;
  }

  #end(seat: Seat, reason: SessionEndReason, how: (handle: PublisherHandle) => void): boolean {
    const publish = this.#registry.publishOn(seat);
    if (publish === undefined) return false;
    publish.end(reason);
    how(publish.handle);
    return true;
  }
}
