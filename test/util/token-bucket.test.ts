import { expect, it } from '@jest/globals';
import { TokenBucket } from '../../lib/util/token-bucket.js';

it('has a new token after the interval, also if the clock was set back', () => {
  let now = 10_000;
  const bucket = new TokenBucket({ capacity: 2, interval: 30, clock: () => now });
  expect([bucket.take(), bucket.take(), bucket.take(), bucket.wait]).toEqual([true, true, false, 30]);
  now -= 9_000;
  expect([bucket.take(), bucket.wait]).toEqual([false, 30]);
  now += 30;
  expect([bucket.take(), bucket.take()]).toEqual([true, false]);
});
