/** How many accepted tasks wait for their objects, and for how long. The pace of creating objects depends on it. */
export interface Backlog {
  readonly waiting: number;
  /** Age of the most recent accept, ms. */
  readonly quietMs: number;
  /** Age of the BURST-th most recent accept, ms. */
  readonly burstMs: number;
  /** How long the last few creations took, ms; 0 if there were none. */
  readonly lastTookMs: number;
  /** True if a task has waited for the longest time allowed, and accepts have not paused since. */
  readonly catchingUp: boolean;
}

export interface Pace {
  readonly pauseMs: number;
  /** How many objects to create after the pause, at most. */
  readonly count: number;
  /** True while work that is not urgent (filing rows) should be deferred. */
  readonly inBurst: boolean;
}

/** This many accepts within `WITHIN_MS` are a burst. Fewer get their objects at once. */
export const BURST = 10;
const WITHIN_MS = 200;
/** How many objects are created at the same time outside a burst. */
const AT_ONCE = 4;
/**
 * The pause between those while many wait, so that at most 200 objects a second are created. Each keeps three files open
 * until it was idle for 10 s, and a workerd that runs out of files no longer answers.
 */
const BREATH_MS = 20;
/** While more than this wait, a burst ends only after `QUIET_MS` without an accept, because creating objects delays accepts. */
const FEW = 8;
const QUIET_MS = 100;
/** No burst makes a task wait longer than this. If the load continues past it, objects are created as they are accepted. */
export const MAX_WAIT_MS = 10_000;
/**
 * In a burst, creating objects gets a twentieth of the time at most. The first placement of a new task costs a few times
 * what its creation costs, so there is a shortest pause too.
 */
const PAUSES = 19;
const MIN_PAUSE_MS = 300;
const MAX_PAUSE_MS = 500;

/** Decides when to create the next objects. Creating one costs many times what an accept does, so a burst defers it. Pure. */
export function creationPace({ waiting, quietMs, burstMs, lastTookMs, catchingUp }: Backlog): Pace {
  const isFresh = within(burstMs, WITHIN_MS);
  const isSlowed = waiting > FEW && within(quietMs, QUIET_MS) && within(burstMs, 2 * WITHIN_MS);
  // A task that waits alone is not a backlog: its caller may wait for it before they send the next one.
  if (isFresh && waiting === 1) return { pauseMs: BREATH_MS / AT_ONCE, count: 1, inBurst: false };
  if (catchingUp || !(isFresh || isSlowed)) {
    return { pauseMs: waiting > FEW ? BREATH_MS : 0, count: AT_ONCE, inBurst: false };
  }
  const pauseMs = Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, PAUSES * lastTookMs));
  return { pauseMs, count: 1, inBurst: true };
}

/** A clock that went back must not look like a burst without end. */
function within(ageMs: number, limitMs: number): boolean {
  return ageMs >= 0 && ageMs < limitMs;
}
