import { expect, it } from '@jest/globals';
import { Backoff } from '../../lib/util/backoff.js';

it('doubles the pause with each failure, up to 30 seconds', () => {
  let now = 0;
  const backoff = new Backoff(() => now);
  const pauses = Array.from({ length: 8 }, () => {
    const pause = backoff.failed();
    now += pause;
    return pause;
  });
  expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30, 30]);
});

it('counts the failures of concurrent attempts as one', () => {
  const backoff = new Backoff(() => 0);
  for (let i = 0; i < 10; i++) backoff.failed();
  expect([backoff.failures, backoff.wait]).toEqual([1, 1]);
});

it('starts again from the beginning after a success', () => {
  const backoff = new Backoff(() => 0);
  backoff.failed();
  backoff.reset();
  expect([backoff.failures, backoff.wait, backoff.failed()]).toEqual([0, 0, 1]);
});

it.each([0, 120])('pauses as long as before, if the clock is set back: %d s requested', (requested) => {
  let now = 100_000;
  const backoff = new Backoff(() => now);
  const pause = backoff.failed(requested);
  now -= 86_400;
  expect(backoff.wait).toBe(pause);
  now += pause;
  expect(backoff.wait).toBe(0);
});
