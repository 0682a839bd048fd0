import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, jest } from '@jest/globals';
import type { Fetch } from '../../lib/index.js';

/** Stops both clocks and the timers until `advance`. The network and its own timers continue. */
export function simulateTime(): void {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['hrtime', 'nextTick', 'queueMicrotask', 'setImmediate', 'clearImmediate'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });
}

let pendingRequests = 0;

/** The global `fetch`, observed, so that simulated time does not pass while a request runs that a timer has started. */
export const watchedFetch: Fetch = async (url, init) => {
  pendingRequests++;
  try {
    return await fetch(url, init);
  } finally {
    pendingRequests--;
  }
};

// Less than the default timeout of a request.
const STEP = 4;

/** Moves the time. Requests with `watchedFetch` in the meantime are awaited, unless the server hangs. */
export async function advance({ seconds }: { seconds: number }): Promise<void> {
  for (let left = seconds; left > 0; left -= STEP) {
    await jest.advanceTimersByTimeAsync(Math.min(left, STEP) * 1000);
    for (let turns = 0; turns < 20_000 && pendingRequests > 0; turns++) await setImmediate();
    // The body arrives after the headers.
    for (let turns = 0; turns < 3; turns++) await setImmediate();
  }
}

/** Changes the time of day, as when the clock of the machine is set. No time passes. */
export function jumpClock({ seconds }: { seconds: number }): void {
  jest.setSystemTime(Date.now() + seconds * 1000);
}

/** Waits until network exchanges are complete. Checks at each turn of the event loop, not by the clock. */
export async function eventually(what: string, isSo: () => boolean): Promise<void> {
  for (let turns = 0; turns < 50_000; turns++) {
    if (isSo()) return;
    await setImmediate();
  }
  throw new Error(`never came true: ${what}`);
}

/** Waits for a promise that only a timeout settles: whenever the network is idle, a second passes. */
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
