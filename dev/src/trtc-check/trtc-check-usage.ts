import { HELP_OPTION, type Usage } from "../command-line/read-options.ts";

const HELP = `Checks Roomcast's assumptions about TRTC with an application of yours, and prints the results as a table.

  npm run trtc-check -- --sdk-app-id 1400000001 --secret-key-file secret.txt --room check_1 [--host HOST] [--seconds N]

  --sdk-app-id       the application
  --secret-key-file  a file with the application's SecretKey and nothing else; it is never shown
  --room             a string room that nobody else uses: 1 to 48 letters, digits or underscores
  --number-room      an integer room that nobody else uses; default 9990001
  --host             where to push: a host name, or rtmp(s)://host[:port]/app; default: TRTC's own for the application
  --backup-host      the same for the backup; default: TRTC's, or none with --host
  --seconds          how long each push lasts; default 4, at least 2

It makes short clips with ffmpeg and pushes about twenty times, four at a time, for about half a minute. RTMP pushes are
billed by TRTC and need a paid package. It cannot see whether a picture is shown or whether messages in it arrive:
to check that, enter the room with a viewer meanwhile.

Exit code: 0 if all was as assumed; 1 if something was not, or could not be tried; 2 if an option is wrong.
`;

export const TRTC_CHECK_USAGE = {
  command: "trtc-check",
  help: HELP,
  options: {
    "sdk-app-id": { type: "string" },
    "secret-key-file": { type: "string" },
    room: { type: "string" },
    "number-room": { type: "string", default: "9990001" },
    host: { type: "string" },
    "backup-host": { type: "string" },
    seconds: { type: "string", default: "4" },
    ...HELP_OPTION,
  },
} as const satisfies Usage;
