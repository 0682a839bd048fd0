import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, jest } from '@jest/globals';
import type { Fetch } from '../../lib/index.js';

/** Both clocks and the timers stand still until `advance`; the network and its own timers go on. */
export function simulateTime(): void {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['hrtime', 'nextTick', 'queueMicrotask', 'setImmediate', 'clearImmediate'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });
}

let underWay = 0;

/** The global `fetch`, watched, so that simulated time does not run away from exchanges that a timer has begun. */
export const watchedFetch: Fetch = async (url, init) => {
  underWay++;
  try {
    return await fetch(url, init);
  } finally {
    underWay--;
  }
};

// Below the default deadline of an exchange.
const STEP = 4;

/** Lets time pass. What is fetched meanwhile with `watchedFetch` is waited for, unless the server hangs. */
export async function advance({ seconds }: { seconds: number }): Promise<void> {
  for (let left = seconds; left > 0; left -= STEP) {
    await jest.advanceTimersByTimeAsync(Math.min(left, STEP) * 1000);
    for (let turns = 0; turns < 20_000 && underWay > 0; turns++) await setImmediate();
    // The body comes after the head.
    for (let turns = 0; turns < 3; turns++) await setImmediate();
  }
}

/** Somebody sets the clock of the machine: the time of day jumps, but no time passes. */
export function jumpClock({ seconds }: { seconds: number }): void {
  jest.setSystemTime(Date.now() + seconds * 1000);
}

/** Lets exchanges over the network come to their end: looks again turn by turn of the event loop, not by the clock. */
export async function eventually(what: string, isSo: () => boolean): Promise<void> {
  for (let turns = 0; turns < 50_000; turns++) {
    if (isSo()) return;
    await setImmediate();
  }
  throw new Error(`never came true: ${what}`);
}

/** Waits for what only a deadline ends: whenever the network has nothing more to say, a second passes. */
export async function untilDeadline<T>(waiting: Promise<T>): Promise<T> {
  let isSettled = false;
  const settle = (): void => {
    isSettled = true;
  };
  waiting.then(settle, settle);
  const isOpen = (): boolean => !isSettled;
  for (let seconds = 0; seconds < 60 && isOpen(); seconds++) {
    for (let turns = 0; turns < 2_000 && isOpen(); turns++) await setImmediate();
    if (isOpen()) await advance({ seconds: 1 });
  }
  return waiting;
}
