import { describe, expect, it } from '@jest/globals';
import { SingleFlight } from '../../lib/util/single-flight.js';

describe('SingleFlight', () => {
  it('runs concurrent work for one key once, and for another key separately', async () => {
    const flight = new SingleFlight<number>();
    let runs = 0;
    const work = (): Promise<number> => Promise.resolve(++runs);
    expect(await Promise.all([flight.run('a', work), flight.run('a', work), flight.run('b', work)])).toEqual([1, 1, 2]);
    expect(await flight.run('a', work)).toBe(3);
  });

  it('reports the failure to every caller, and starts again afterwards', async () => {
    const flight = new SingleFlight<number>();
    const fail = (): Promise<number> => Promise.reject(new Error('failed'));
    const outcomes = await Promise.allSettled([flight.run('a', fail), flight.run('a', fail)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(flight.run('a', () => Promise.resolve(1))).resolves.toBe(1);
  });

  it('reports work that throws as a rejection', async () => {
    const flight = new SingleFlight<number>();
    const work = (): Promise<number> => {
      throw new Error('thrown');
    };
    await expect(flight.run('a', work)).rejects.toThrow('thrown');
    expect(flight.isRunning('a')).toBe(false);
  });

  it('starts again after a run was abandoned, and the old run can detect this', async () => {
    const flight = new SingleFlight<boolean>();
    const old = flight.run('a', async (isCurrent) => {
      await Promise.resolve();
      return isCurrent();
    });
    flight.abandon('a');
    const current = flight.run('a', async (isCurrent) => {
      await Promise.resolve();
      return isCurrent();
    });
    expect(await Promise.all([old, current])).toEqual([false, true]);
  });
});
