/** The parts of the process that a suite may use. */
export interface SuiteContext {
  /** The command line after the suite's name. */
  readonly args: readonly string[];
  /** Says what is being done, on standard error. */
  readonly onProgress: (what: string) => void;
  /** Aborted when the run is to end early: everything that was started must then be stopped. */
  readonly signal: AbortSignal;
}

/** The finished run of a suite. */
export interface SuiteReport {
  /** The numbers, as they are printed with `--json`. */
  readonly json: object;
  /** The same for people. */
  readonly text: string;
}

/** One kind of measurement: `npm run bench -- <name>`. */
export interface Suite {
  /** One line that says what the suite measures. */
  readonly summary: string;
  /** Its options, in lines as `--help` shows them. */
  readonly options: string;
  run(context: SuiteContext): Promise<SuiteReport>;
}

/** @throws Error that names the option. */
export function positiveInteger(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${option}: expected positive whole numbers, got "${text}".`);
}

/**
 * Which of its parts a suite is to run, from the text of `--only`.
 *
 * @throws Error that lists them.
 */
export function wantedParts<Part extends string>(parts: readonly Part[], text: string): (part: Part) => boolean {
  const wanted = text.split(",");
  const unknown = wanted.find((name) => !parts.some((part) => part === name));
  if (unknown !== undefined) throw new Error(`--only: expected some of ${parts.join(",")}, got "${unknown}".`);
  return (part) => wanted.includes(part);
}
