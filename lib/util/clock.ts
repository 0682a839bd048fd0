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
