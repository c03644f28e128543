import { RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { SourceInfo } from "../source/source.ts";
import { Preloads } from "./preloads.ts";
import { type ClosingSources, type OpenSource, PreparedSource, type SourceRequest } from "./prepared-source.ts";
import type { Programme, ProgrammePlace } from "./programme.ts";

/** A source that is being opened to be put on the air. */
export interface IncomingSource {
  readonly prepared: PreparedSource;
  /**
   * The role decides when the source goes on the air. `next` waits until the current source has played out, `continue`
   * until the position is reached, `start` until the requested time. The others do not wait.
   */
  readonly role: "start" | "next" | "return" | "switch" | "continue";
  readonly place: ProgrammePlace;
  /** The room's position when opening started, ms. */
  readonly roomPositionMs: number;
  /** The programme that applies once the source is on the air. */
  readonly programme: Programme;
  /** Settles the change that requested the source; undefined if no change did. */
  readonly asked: PromiseWithResolvers<void> | undefined;
  /** True if playback is paused once the source is on the air; undefined leaves the pause unchanged. */
  readonly pauses: boolean | undefined;
}

export interface IncomingSourcesOptions {
  readonly open: OpenSource;
  readonly log: Logger;
  readonly closings: ClosingSources;
  /** Called when a source is ready or has failed. */
  readonly onReady: () => void;
}

/** The source that is about to go on the air (the newest request replaces an older one), and the preloaded sources. */
export class IncomingSources {
  readonly #options: IncomingSourcesOptions;
  readonly #preloads: Preloads;
  #incoming: IncomingSource | undefined;

  constructor(options: IncomingSourcesOptions) {
    this.#options = options;
    this.#preloads = new Preloads(options);
  }

  get current(): IncomingSource | undefined {
    return this.#incoming;
  }

  /** Starts opening a source. Any other incoming source is dropped. */
  open(request: SourceRequest, change: Omit<IncomingSource, "prepared">): void {
    void this.discard();
    const prepared = this.#preloads.take(request) ?? new PreparedSource(request, this.#options.open);
    prepared.onSettled = this.#options.onReady;
    this.#incoming = { prepared, ...change };
    if (prepared.state.name !== "opening") this.#options.onReady();
  }

  /** Drops the pause setting of the incoming source, because a newer change has set or ended the pause. */
  forgetPause(): void {
    if (this.#incoming !== undefined) this.#incoming = { ...this.#incoming, pauses: undefined };
  }

  /** Forgets the incoming source without closing it. The caller has taken it, or it has failed. */
  settle(): void {
    this.#incoming = undefined;
  }

  /** Drops the incoming source and rejects the change that requested it. Resolves when the source is closed. */
  async discard(): Promise<void> {
    const incoming = this.#incoming;
    this.#incoming = undefined;
    incoming?.asked?.reject(
      new RoomcastError("FailedOperation.Superseded", "Superseded by a newer change, or the task ended first."),
    );
    const discarded = incoming?.prepared.discard();
    if (discarded === undefined) return;
    this.#options.closings.add(discarded);
    await discarded;
  }

  /** All sources that are open or being opened, with null for each source that is still being opened. */
  get holds(): readonly (SourceInfo | null)[] {
    const all = this.#incoming === undefined ? this.#preloads.all : [this.#incoming.prepared, ...this.#preloads.all];
    return all.flatMap(({ state }) =>
      state.name === "opening" ? [null] : state.name === "ready" ? [state.source.info] : [],
    );
  }

  /** Keeps exactly these sources preloaded. */
  preload(requests: readonly SourceRequest[]): void {
    this.#preloads.set(requests);
  }

  async close(): Promise<void> {
    await this.discard();
    await this.#preloads.close();
  }
}
