/** What decides how fast accepted tasks get their objects. */
export interface Backlog {
  readonly waiting: number;
  /** How long ago the last one was accepted. */
  readonly quietMs: number;
  /** How long ago the last but `BURST - 1` was accepted. */
  readonly burstMs: number;
  /** How long it took to hand over the last few; 0: none were. */
  readonly lastTookMs: number;
  /** Some have waited for as long as they may, and pushes have not stopped coming since. */
  readonly catchingUp: boolean;
}

export interface Pace {
  readonly pauseMs: number;
  /** How many to hand over after the pause, at most. */
  readonly count: number;
  /** What can wait shall wait. */
  readonly inBurst: boolean;
}

/** So many accepted within `WITHIN_MS` are a burst. Fewer get their objects at once. */
export const BURST = 10;
const WITHIN_MS = 200;
/** At the same time, where there is no burst. */
const AT_ONCE = 4;
/**
 * Between those, while many wait: at most 200 objects a second are made. Each keeps three files open until it was not
 * needed for 10 s, and a workerd that runs out of files answers nobody any more.
 */
const BREATH_MS = 20;
/** While more than this wait, a burst is over when nothing has come for `QUIET_MS`: making objects slows accepting down. */
const FEW = 8;
const QUIET_MS = 100;
/** No burst keeps a task waiting for longer. What goes on longer is no burst: from then on objects are made as they come. */
export const MAX_WAIT_MS = 10_000;
/**
 * In a burst objects get a twentieth of the time at most. What follows the making of one (its first look for a worker)
 * costs a few times what the making itself takes, so that there is a least pause too.
 */
const PAUSES = 19;
const MIN_PAUSE_MS = 300;
const MAX_PAUSE_MS = 500;

/** Making an object costs many times what accepting a task does, so in a burst it is put off. Pure. */
export function creationPace({ waiting, quietMs, burstMs, lastTookMs, catchingUp }: Backlog): Pace {
  const isFresh = within(burstMs, WITHIN_MS);
  const isSlowed = waiting > FEW && within(quietMs, QUIET_MS) && within(burstMs, 2 * WITHIN_MS);
  // What waits alone is no backlog: its caller may wait for it before he asks for the next one.
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
