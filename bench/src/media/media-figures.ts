import type { FirstVideo } from "../pushers/measure-first-video.ts";
import type { CapacityReport } from "./measure-capacity.ts";
import type { SideBySideReport } from "./measure-side-by-side.ts";
import type { SwitchesReport } from "./measure-switches.ts";

/** The measured figures. A part that `--only` left out is null. */
export interface MediaFigures {
  readonly passThrough: SideBySideReport | null;
  /** The same clip as an HLS recording. */
  readonly hls: SideBySideReport | null;
  readonly firstVideo: FirstVideo | null;
  readonly firstVideoHls: FirstVideo | null;
  readonly switches: SwitchesReport | null;
  readonly transcode: SideBySideReport | null;
  readonly capacity: CapacityReport | null;
}
