/** The accepted tasks that wait for their objects, in figures. The pace of creating objects depends on them. */
export interface Backlog {
  readonly waiting: number;
  /** Age of the most recent accept, ms. */
  readonly quietMs: number;
  /** Age of the BURST-th most recent accept, ms. */
  readonly burstMs: number;
  /** The time that the last creations took together, ms; 0 if there were none. */
  readonly lastTookMs: number;
  /** True if a task has waited for the longest time allowed, and accepts have not paused since. */
  readonly catchingUp: boolean;
}

export interface Pace {
  readonly pauseMs: number;
  /** The most objects to create after the pause. */
  readonly count: number;
  /** True while work that is not urgent (filing rows) should be deferred. */
  readonly inBurst: boolean;
}

/**
 * This many accepts within `WITHIN_MS` are a burst. Tasks that are accepted outside a burst get their objects at once.
 */
export const BURST = 10;
const WITHIN_MS = 200;
/** The number of objects that are created at the same time outside a burst. */
const AT_ONCE = 4;
/**
 * The pause after that many objects if many tasks wait, so that at most 200 objects a second are created. Each object
 * keeps three files open until it has been idle for 10 s, and a workerd that runs out of files no longer answers.
 */
const BREATH_MS = 20;
/**
 * While more tasks than this wait, a burst ends only after `QUIET_MS` without an accept. Creating objects slows accepts
 * down, so slower accepts do not mean that the burst is over.
 */
const FEW = 8;
const QUIET_MS = 100;
/**
 * The longest time that a burst makes a task wait for its object. If the burst lasts longer, objects are created
 * although it continues.
 */
export const MAX_WAIT_MS = 10_000;
/**
 * In a burst, a pause is 19 times as long as the last creations took, so that creating objects takes at most a
 * twentieth of the time. There is a shortest pause too, because the first placement of a new task costs a few times
 * what the creation of its object costs.
 */
const PAUSES = 19;
const MIN_PAUSE_MS = 300;
const MAX_PAUSE_MS = 500;

/**
 * Decides when to create the next objects. Creating an object costs many times what an accept costs, so a burst of
 * accepts defers it. Pure.
 */
export function creationPace({ waiting, quietMs, burstMs, lastTookMs, catchingUp }: Backlog): Pace {
  const isFresh = within(burstMs, WITHIN_MS);
  const isSlowed = waiting > FEW && within(quietMs, QUIET_MS) && within(burstMs, 2 * WITHIN_MS);
  // A task that waits alone is not a backlog. Its caller may wait for it before sending the next one, so its object is
  // created soon.
  if (isFresh && waiting === 1) return { pauseMs: BREATH_MS / AT_ONCE, count: 1, inBurst: false };
  if (catchingUp || !(isFresh || isSlowed)) {
    return { pauseMs: waiting > FEW ? BREATH_MS : 0, count: AT_ONCE, inBurst: false };
  }
  const pauseMs = Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, PAUSES * lastTookMs));
  return { pauseMs, count: 1, inBurst: true };
}

/**
 * Returns true if an age is below a limit. The age is negative if the clock went back. This must not look like a burst
 * without end, so the result is then false.
 */
function within(ageMs: number, limitMs: number): boolean {
  return ageMs >= 0 && ageMs < limitMs;
}
