/** Returns the current time. Seconds, fractions allowed. */
export type Clock = () => number;

/** Seconds since the epoch. */
export const systemClock: Clock = () => Date.now() / 1000;

/** A time in seconds since the epoch, as text for people. */
export function toIsoTime(seconds: number): string {
  const time = new Date(seconds * 1000);
  return Number.isNaN(time.getTime()) ? String(seconds) : time.toISOString();
}
