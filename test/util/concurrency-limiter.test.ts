import { describe, expect, it } from '@jest/globals';
import { ConcurrencyLimiter } from '../../lib/util/concurrency-limiter.js';
import { advance, simulateTime } from '../support/time.js';

simulateTime();

/** A limiter whose runs are listed when they start, and end when the test says so. */
function observedLimiter(options: { limit: number; maxWaiting: number }) {
  const limiter = new ConcurrencyLimiter({ ...options, timeout: 5 });
  const started: string[] = [];
  const ends: (() => void)[] = [];
  const run = (name: string, group = name.slice(0, 1)): Promise<string> =>
    limiter
      .run(() => {
        started.push(name);
        return new Promise<void>((resolve) => ends.push(resolve));
      }, group)
      .then(
        () => 'done',
        (error: unknown) => (error as Error).message,
      );
  const endNext = async (): Promise<void> => {
    ends.shift()?.();
    await advance({ seconds: 0.001 });
  };
  return { run, started, endNext };
}

const FULL = 'too many requests are waiting';

describe('ConcurrencyLimiter', () => {
  it('lets the groups take turns', async () => {
    const { run, started, endNext } = observedLimiter({ limit: 1, maxWaiting: 10 });
    const runs = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1'].map((name) => run(name));
    for (let ended = 0; ended < 7; ended++) await endNext();
    expect(started).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4']);
    expect(new Set(await Promise.all(runs))).toEqual(new Set(['done']));
  });

  it('rejects the last run of the longest queue if too many wait', async () => {
    const { run, started, endNext } = observedLimiter({ limit: 1, maxWaiting: 3 });
    const flood = ['a1', 'a2', 'a3', 'a4', 'a5'].map((name) => run(name));
    await expect(flood[4]).resolves.toBe(FULL);
    const other = run('b1');
    await expect(flood[3]).resolves.toBe(FULL);
    const third = run('c1');
    await expect(flood[2]).resolves.toBe(FULL);
    // Now each group has one, so no run is removed.
    await expect(run('d1')).resolves.toBe(FULL);
    await expect(run('b2')).resolves.toBe(FULL);
    for (let i = 0; i < 4; i++) await endNext();
    expect(started).toEqual(['a1', 'a2', 'b1', 'c1']);
    expect(await Promise.all([other, third])).toEqual(['done', 'done']);
  });

  it('has room for the next one after a run waited too long', async () => {
    const { run, started, endNext } = observedLimiter({ limit: 1, maxWaiting: 1 });
    const first = run('a1');
    const second = run('a2');
    await advance({ seconds: 5 });
    await expect(second).resolves.toBe('the queue did not respond within 5 s');
    const third = run('a3');
    await endNext();
    await endNext();
    expect(await Promise.all([first, third])).toEqual(['done', 'done']);
    expect(started).toEqual(['a1', 'a3']);
  });

  it('never runs more than the limit, whatever ends and waits', async () => {
    const { run, started, endNext } = observedLimiter({ limit: 2, maxWaiting: 4 });
    const runs = ['a1', 'a2', 'a3', 'b1', 'b2', 'c1'].map((name) => run(name));
    await advance({ seconds: 0.001 });
    for (let ended = 0; ended < runs.length; ended++) {
      expect(started).toHaveLength(Math.min(runs.length, ended + 2));
      await endNext();
    }
    expect(new Set(await Promise.all(runs))).toEqual(new Set(['done']));
  });
});
