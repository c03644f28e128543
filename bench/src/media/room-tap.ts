import { EventEmitter, once } from "node:events";
import type { FlvOutput } from "@roomcast/dev/emulator/flv-viewer";
import type { RoomEmulator } from "@roomcast/dev/emulator/room-emulator";
import { SDK_APP_ID } from "@roomcast/dev/stack/stack";
import { FlvDemuxer } from "@roomcast/worker/flv-demuxer";
import { BENCH_USER_ID } from "../pushers/pusher.ts";

/** A picture as the room got it. */
export interface SeenPicture {
  /** On the clock of `performance.now()`, ms: the emulator's own counts whole milliseconds. */
  readonly arrivedAtMs: number;
  /** RTMP timestamp, ms. */
  readonly dtsMs: number;
  /** The sequence header that holds for it: pictures of another encode have another one. */
  readonly encode: string;
}

/** The emulator gets the tags of a moment at once. A tag that is missing after this time does not come. */
const PATIENCE_MS = 20_000;

/**
 * Watches a room from inside the emulator's process: a viewer is handed every tag in the turn in which it arrives, so
 * nothing stands between the ingest and the time that is noted.
 */
export class RoomTap {
  /** All since the tap was opened, in order of arrival. */
  readonly pictures: SeenPicture[] = [];
  readonly #events = new EventEmitter();
  readonly #leave: () => void;

  private constructor(emulator: RoomEmulator, room: string) {
    let encode = "";
    let live = false;
    const demuxer = new FlvDemuxer({
      onTag: ({ kind, sequenceHeader, dtsMs, payload }) => {
        if (kind !== "video") return;
        if (sequenceHeader) {
          encode = payload.toString("hex");
        } else if (live) {
          this.pictures.push({ arrivedAtMs: performance.now(), dtsMs, encode });
          this.#events.emit("picture");
        }
      },
    });
    const seat = { sdkAppId: SDK_APP_ID, userId: BENCH_USER_ID, room: { kind: "string", id: room } } as const;
    const leave = emulator.watch(seat, outputInto(demuxer));
    if (leave === undefined) throw new Error(`Nobody publishes in ${room}.`);
    this.#leave = leave;
    // The tags that came before are handed over at once to a viewer that enters.
    live = true;
  }

  /** A room in which somebody publishes. */
  static open(emulator: RoomEmulator, room: string): RoomTap {
    return new RoomTap(emulator, room);
  }

  /**
   * Resolves when the pictures fulfil something.
   *
   * @throws Error where they do not for long.
   */
  async until(what: string, isFulfilled: () => boolean, signal: AbortSignal): Promise<void> {
    const ended = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
    while (!isFulfilled()) {
      try {
        await once(this.#events, "picture", { signal: ended });
      } catch (cause) {
        throw new Error(`The room did not see ${what} within ${PATIENCE_MS / 1000} s.`, { cause });
      }
    }
  }

  close(): void {
    this.#leave();
  }
}

function outputInto(demuxer: FlvDemuxer): FlvOutput {
  return {
    write: (chunk) => {
      demuxer.push(chunk);
      return true;
    },
    writableLength: 0,
    end: () => {},
    destroy: () => {},
    cork: () => {},
    uncork: () => {},
  };
}
