/** Writes the demo's output: one line that changes in a terminal, plain lines elsewhere. */
export class Terminal {
  readonly #output: NodeJS.WriteStream;
  #live = false;
  #lastPlainLine = "";
  #lastPlainAtMs = 0;

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
  }

  say(text = ""): void {
    this.#endLive();
    this.#output.write(`${text}\n`);
  }

  /** Shows a line that replaces the one before; elsewhere than in a terminal at most one every three seconds. */
  live(line: string): void {
    if (this.#output.isTTY) {
      this.#output.write(`\r\u001B[2K  ${line.slice(0, this.#output.columns - 3)}`);
      this.#live = true;
      return;
    }
    const nowMs = Date.now();
    if (nowMs - this.#lastPlainAtMs < PLAIN_INTERVAL_MS || line === this.#lastPlainLine) return;
    this.#lastPlainAtMs = nowMs;
    this.#lastPlainLine = line;
    this.#output.write(`  ${line}\n`);
  }

  /** The last word on the live line; it stays. */
  settle(line: string): void {
    if (this.#live) this.#output.write("\r\u001B[2K");
    this.#live = false;
    this.#output.write(`  ${line}\n`);
  }

  #endLive(): void {
    if (this.#live) this.#output.write("\n");
    this.#live = false;
  }
}

const PLAIN_INTERVAL_MS = 3000;
