/** Returns the current time. Seconds, fractions allowed. */
export type Clock = () => number;

/** Seconds since the epoch. */
export const systemClock: Clock = () => Date.now() / 1000;
