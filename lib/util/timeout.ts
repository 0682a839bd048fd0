import { startTimer } from './timer.js';

/** Waits for a call, but not longer than the given number of seconds. A later result is ignored. */
export async function withTimeout<T>(call: Promise<T>, seconds: number, what: string): Promise<T> {
  let stop: () => void = () => undefined;
  const expired = new Promise<never>((_, reject) => {
    stop = startTimer(seconds, () => {
      reject(new Error(`${what} did not respond within ${seconds} s`));
    });
  });
  return Promise.race([call, expired]).finally(stop);
}
