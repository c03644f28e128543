/** The resources that the worker and its children used at one moment. */
export interface SoakSample {
  /** Since all streams were on the air. */
  readonly seconds: number;
  /** Proportional set size, MB (10^6 bytes). */
  readonly workerPssMb: number;
  /** Open files and sockets of the worker. */
  readonly workerFiles: number;
  /** CPU-seconds per second since the sample before. */
  readonly workerCores: number;
}

/** The rooms' measurements from beginning to end. */
export interface SoakRooms {
  readonly streams: number;
  /** More than one for each stream: somebody lost its room. */
  readonly sessions: number;
  readonly pictures: number;
  readonly timestampsBack: number;
  /** Between the timestamps of two pictures, ms. */
  readonly largestGapMs: number;
  /** Between the arrivals of two pictures, ms: the room's clock, and this machine's hiccups. */
  readonly largestArrivalGapMs: number;
  readonly largestAvSkewMs: number;
}

export interface SoakReport {
  readonly suite: "soak";
  readonly minutes: number;
  /** The number of seeks. Each one is a cut to a source that was opened again. */
  readonly seeks: number;
  readonly refusedSeeks: number;
  readonly rooms: SoakRooms;
  readonly samples: readonly SoakSample[];
  /** Medians of the second and of the last quarter of the time; the first quarter is for warming up. */
  readonly early: Omit<SoakSample, "seconds">;
  readonly late: Omit<SoakSample, "seconds">;
}

/** The report as a person reads it. */
export function formatSoakReport(report: SoakReport): string {
  const { rooms, early, late } = report;
  const rows: readonly [string, keyof typeof early, number][] = [
    ["worker PSS, MB", "workerPssMb", 1],
    ["worker CPU, cores", "workerCores", 2],
    ["worker files and sockets", "workerFiles", 0],
  ];
  return [
    `${rooms.streams} streams for ${report.minutes} minutes, ${report.seeks} seeks meanwhile (${report.refusedSeeks} refused)`,
    "",
    `${"".padEnd(26)}${"2nd quarter".padStart(12)}${"last quarter".padStart(14)}`,
    ...rows.map(
      ([name, key, digits]) =>
        `${name.padEnd(26)}${early[key].toFixed(digits).padStart(12)}${late[key].toFixed(digits).padStart(14)}`,
    ),
    "",
    `The rooms saw ${rooms.pictures} pictures in ${rooms.sessions} sessions: timestamps back ${rooms.timestampsBack} times, ` +
      `largest gap ${rooms.largestGapMs} ms (${rooms.largestArrivalGapMs} ms between arrivals), ` +
      `largest A/V skew ${rooms.largestAvSkewMs} ms`,
  ].join("\n");
}
