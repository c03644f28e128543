import { RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { SourceInfo } from "../source/source.ts";
import { Preloads } from "./preloads.ts";
import { type ClosingSources, type OpenSource, PreparedSource, type SourceRequest } from "./prepared-source.ts";
import type { Programme, ProgrammePlace } from "./programme.ts";

/** A source on its way to the air. */
export interface IncomingSource {
  readonly prepared: PreparedSource;
  /** `next` waits until the one before has played out; `continue` until the position is reached; the others do not. */
  readonly role: "start" | "next" | "return" | "switch" | "continue";
  readonly place: ProgrammePlace;
  /** The position of the room when it was sent for, ms. */
  readonly sentForMs: number;
  /** What holds once it is on the air. */
  readonly programme: Programme;
  /** Who asked for it. */
  readonly asked: PromiseWithResolvers<void> | undefined;
  /** Whether it stands still once it is on the air; undefined: as what was there before. */
  readonly pauses: boolean | undefined;
}

export interface IncomingSourcesOptions {
  readonly open: OpenSource;
  readonly log: Logger;
  readonly closings: ClosingSources;
  /** What was sent for is ready, or has failed. */
  readonly onReady: () => void;
}

/** What is on its way to the air: one source at a time, where the newest wish wins, and those that are preloaded. */
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

  /** Sends for a source. Whatever else was on its way is dropped. */
  bring(request: SourceRequest, wish: Omit<IncomingSource, "prepared">): void {
    void this.discard();
    const prepared = this.#preloads.take(request) ?? new PreparedSource(request, this.#options.open);
    prepared.onSettled = this.#options.onReady;
    this.#incoming = { prepared, ...wish };
    if (prepared.state.name !== "opening") this.#options.onReady();
  }

  /** Whether to stand still was wished after it was asked for. */
  forgetPause(): void {
    if (this.#incoming !== undefined) this.#incoming = { ...this.#incoming, pauses: undefined };
  }

  /** What was on its way is there, or will not come: whoever calls this sees to it. */
  settle(): void {
    this.#incoming = undefined;
  }

  /** Who asked for what was on its way is told that it does not come; resolves when that is closed. */
  async discard(): Promise<void> {
    const incoming = this.#incoming;
    this.#incoming = undefined;
    incoming?.asked?.reject(
      new RoomcastError("FailedOperation.Superseded", "A newer change, or the end of the task, came before."),
    );
    const discarded = incoming?.prepared.discard();
    if (discarded === undefined) return;
    this.#options.closings.add(discarded);
    await discarded;
  }

  /** All that is open or being opened; null: being opened. */
  get holds(): readonly (SourceInfo | null)[] {
    const all = this.#incoming === undefined ? this.#preloads.all : [this.#incoming.prepared, ...this.#preloads.all];
    return all.flatMap(({ state }) =>
      state.name === "opening" ? [null] : state.name === "ready" ? [state.source.info] : [],
    );
  }

  /** Keeps exactly these ready. */
  preload(requests: readonly SourceRequest[]): void {
    this.#preloads.set(requests);
  }

  async close(): Promise<void> {
    await this.discard();
    await this.#preloads.close();
  }
}
