/** Returns the current time. Seconds, fractions allowed. */
export type Clock = () => number;

// Two copies of the package in one process recognize each other's clock.
const SYSTEM_CLOCK = Symbol.for('express-resource-server.system-clock.v1');

/** Seconds since the epoch. It may jump: people and NTP set it. Only for times that others wrote, such as `exp`. */
export const systemClock: Clock = Object.assign(() => Date.now() / 1000, { [SYSTEM_CLOCK]: true });

/** Seconds since an arbitrary time. It never jumps. */
const monotonicClock: Clock = () => performance.now() / 1000;

/**
 * The clock for ages and pauses: a monotonic one, so that nothing is used longer, or paused longer, because somebody set the
 * clock of the machine. A clock from the options replaces both.
 */
export function ageClockOf(clock: Clock): Clock {
  return SYSTEM_CLOCK in clock ? monotonicClock : clock;
}

/** Smaller steps are those of the resolution of the clock, and of NTP. Seconds. */
const MIN_SLEEP = 1;

/** How far the system clock was ahead of the monotonic clock. Seconds; `undefined` before the first comparison. */
let lead: number | undefined;
/** The sum of all steps of the system clock forward. Seconds. */
let slept = 0;

/** Seconds since an arbitrary time. It never goes back, and also counts the steps of the system clock forward. */
const sleeplessClock: Clock = () => {
  const time = monotonicClock();
  const newLead = systemClock() - time;
  const step = newLead - (lead ?? newLead);
  if (step >= MIN_SLEEP) slept += step;
  if (step >= MIN_SLEEP || step < 0 || lead === undefined) lead = newLead;
  return time + slept;
};

/**
 * The clock for how long a result is used that its source can change meanwhile, such as an introspection response. A monotonic
 * clock stops while a machine sleeps (a laptop, a suspended virtual machine, a frozen function), so a revoked token would be
 * accepted for hours. If somebody sets the system clock forward, results end too early, which costs one request.
 */
export function resultClockOf(clock: Clock): Clock {
  return SYSTEM_CLOCK in clock ? sleeplessClock : clock;
}

/** A time in seconds since the epoch, as text for people. */
export function toIsoTime(seconds: number): string {
  const time = new Date(seconds * 1000);
  return Number.isNaN(time.getTime()) ? String(seconds) : time.toISOString();
}
