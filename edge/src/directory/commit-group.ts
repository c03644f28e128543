/** Jobs that came so soon after one another are done together. */
const BURST_GAP_MS = 10;

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly done: PromiseWithResolvers<Result>;
}

/**
 * Does what comes in a burst in one go, so that one commit serves all of it. A job that comes alone is done at once.
 * All callers are events of one Durable Object, which may wait for each other's promises.
 */
export class CommitGroup<Item, Result> {
  readonly #commit: (items: readonly Item[]) => readonly Result[];
  #waiting: Waiting<Item, Result>[] = [];
  #lastAtMs = Number.NEGATIVE_INFINITY;

  /** @param commit does them all, or throws and has done none; answers in their order. */
  constructor(commit: (items: readonly Item[]) => readonly Result[]) {
    this.#commit = commit;
  }

  async join(item: Item): Promise<Result> {
    const done = Promise.withResolvers<Result>();
    this.#waiting.push({ item, done });
    if (this.#waiting.length === 1) {
      // One turn of the event loop: what has arrived already joins.
      if (Date.now() - this.#lastAtMs < BURST_GAP_MS) await scheduler.wait(0);
      this.#flush();
    }
    return done.promise;
  }

  #flush(): void {
    const group = this.#waiting;
    this.#waiting = [];
    this.#lastAtMs = Date.now();
    try {
      const results = this.#commit(group.map(({ item }) => item));
      group.forEach(({ done }, at) => {
        // SAFETY: there is one result for each item.
        done.resolve(results[at] as Result);
      });
    } catch (thrown) {
      for (const { done } of group) done.reject(thrown);
    }
  }
}
