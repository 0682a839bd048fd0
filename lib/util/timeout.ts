import { startDeadline } from './timer.js';

/** A call took too long. */
export class TimeoutError extends Error {}

/** Waits for a call, but not longer than the given number of seconds. A later result is ignored. @throws TimeoutError */
export async function withTimeout<T>(call: Promise<T>, seconds: number, what: string): Promise<T> {
  let stop: () => void = () => undefined;
  const expired = new Promise<never>((_, reject) => {
    stop = startDeadline(seconds, () => {
      reject(new TimeoutError(`${what} did not respond within ${seconds} s`));
    });
  });
  return Promise.race([call, expired]).finally(stop);
}
