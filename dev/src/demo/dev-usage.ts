import { HELP_OPTION, type Usage } from "../command-line/read-options.ts";

const HELP = `Runs the edge (in workerd), a media worker, a room emulator and Redis on this machine until Ctrl-C, each on its
usual port where that is free. Edge, worker and emulator start again when their code changes.

  npm run dev

  --help  shows this

A second one may run beside it: it reports that and takes other ports. Each writes its addresses and secrets to the file
.roomcast/dev-<process id>.env, which is removed when it ends.
`;

export const DEV_USAGE = { command: "dev", help: HELP, options: HELP_OPTION } as const satisfies Usage;
