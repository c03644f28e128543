import { type ParseArgsConfig, parseArgs } from "node:util";

type OptionsConfig = NonNullable<ParseArgsConfig["options"]>;

/** The options and the help of a command. */
export interface Usage<Options extends OptionsConfig = OptionsConfig> {
  /** Its name after `npm run`. */
  readonly command: string;
  readonly help: string;
  readonly options: Options;
}

/** Every command has it. */
export const HELP_OPTION = { help: { type: "boolean", short: "h", default: false } } as const;

/** The command was called wrongly; the message says how. */
export class UsageError extends Error {
  constructor(command: string, problem: string) {
    super(`npm run ${command}: ${problem}. See: npm run ${command} -- --help`);
    this.name = "UsageError";
  }
}

/** @throws UsageError which names the option that there is not, or that is used wrongly. */
export function readOptions<Options extends OptionsConfig>(
  { command, options }: Usage<Options>,
  args: readonly string[],
) {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    // This is Node's own message; after the first sentence it explains what is meant to be a positional argument.
    const [problem = ""] = error.message.split(/\.(?:\s|$)/);
    throw new UsageError(command, problem);
  }
}
