import { HELP_OPTION, type Usage } from "../command-line/read-options.ts";

const HELP = `Pushes a sample video into a TRTC room, on this machine, with all parts real but the room:
the edge in workerd, a media worker, ffmpeg, Redis, and an emulator of TRTC's rooms that measures what arrives.

  npm run demo [-- --keep]

  --keep  leaves everything running afterwards, with a room to watch in the browser, until Ctrl-C
  --help  shows this

The exit code is 0 only when the room received the whole video.
`;

export const DEMO_USAGE = {
  command: "demo",
  help: HELP,
  options: { keep: { type: "boolean", default: false }, ...HELP_OPTION },
} as const satisfies Usage;
