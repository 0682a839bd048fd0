import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ReplayCache } from '../../lib/store/replay-cache.js';

const FULL = 'the store is full';

function makeCache(maxEntries = 1_000) {
  const time = { now: 1_000 };
  return { time, cache: new ReplayCache({ maxEntries, clock: () => time.now }) };
}

describe('a replay cache', () => {
  it('allows one record per key', () => {
    const { cache } = makeCache();
    expect([cache.add('a', 1_010), cache.add('a', 1_010), cache.add('b', 1_010)]).toEqual([true, false, true]);
  });

  it('does not let a second record extend the first one', () => {
    const { cache, time } = makeCache();
    cache.add('a', 1_010);
    expect(cache.add('a', 1_100)).toBe(false);
    time.now = 1_010;
    expect([cache.has('a'), cache.add('a', 1_100)]).toEqual([false, true]);
  });

  it.each([1_000.001, 1_009.9, 1_010, 1_010.001])('keeps a record until %d and no longer', (until) => {
    const { cache, time } = makeCache();
    cache.add('a', until);
    time.now = until - 0.0005;
    expect([cache.has('a'), cache.add('a', until + 5)]).toEqual([true, false]);
    time.now = until;
    expect([cache.has('a'), cache.add('a', until + 5)]).toEqual([false, true]);
  });

  it('keeps a record that was added again when the expiry of the first one is swept', () => {
    const { cache, time } = makeCache();
    cache.add('a', 1_000.2);
    time.now = 1_000.5;
    cache.add('a', 1_050);
    time.now = 1_001;
    cache.add('b', 1_050);
    expect([cache.has('a'), cache.add('a', 1_060)]).toEqual([true, false]);
  });

  it('throws when it is full, keeps its records, and accepts more when old ones have expired', () => {
    const { cache, time } = makeCache(3);
    for (const key of ['a', 'b', 'c']) cache.add(key, 1_010);
    for (let i = 0; i < 100; i++) expect(() => cache.add(`x${i}`, 1_010)).toThrow(FULL);
    expect(['a', 'b', 'c'].map((key) => cache.add(key, 1_010))).toEqual([false, false, false]);
    expect(cache.has('x0')).toBe(false);
    time.now = 1_010;
    expect(['d', 'e', 'f'].map((key) => cache.add(key, 1_020))).toEqual([true, true, true]);
    expect(() => cache.add('g', 1_020)).toThrow(FULL);
  });

  it('deletes a record', () => {
    const { cache } = makeCache();
    cache.add('a', 1_010);
    cache.delete('a');
    cache.delete('never added');
    expect([cache.has('a'), cache.add('a', 1_010), cache.add('a', 1_010)]).toEqual([false, true, false]);
  });

  it('has space again for each deleted record, repeatedly', () => {
    const { cache, time } = makeCache(2);
    cache.add('long-lived', 1_500);
    for (let i = 0; i < 10_000; i++) {
      expect(cache.add(`key ${i % 3}`, 1_010 + (i % 500))).toBe(true);
      cache.delete(`key ${i % 3}`);
    }
    expect([cache.add('a', 1_010), cache.has('long-lived')]).toEqual([true, true]);
    expect(() => cache.add('one too many', 1_010)).toThrow(FULL);
    time.now = 1_600;
    expect([cache.add('b', 1_700), cache.add('c', 1_700)]).toEqual([true, true]);
    expect(() => cache.add('one too many', 1_700)).toThrow(FULL);
  });

  it('counts a record that was deleted after its expiry once', () => {
    const { cache, time } = makeCache(2);
    cache.add('a', 1_010);
    cache.add('b', 1_500);
    time.now = 1_011;
    cache.delete('a');
    expect(cache.add('a', 1_020)).toBe(true);
    expect(() => cache.add('one too many', 1_020)).toThrow(FULL);
  });

  it.each(['__proto__', 'constructor', '', ' ', '0'])('accepts the key %j', (key) => {
    const { cache } = makeCache();
    expect([cache.has(key), cache.add(key, 1_010), cache.add(key, 1_010)]).toEqual([false, true, false]);
  });

  it('accepts many expiry times, each in a different second', () => {
    // `memoryStore` accepts up to a million records, and its users choose how long they last.
    const { cache, time } = makeCache(1_000_000);
    for (let i = 0; i < 200_000; i++) cache.add(`key ${i}`, 2_000 + i);
    time.now = 2_001;
    expect(cache.add('another', 3_000_000)).toBe(true);
    expect(cache.add('another', 3_000_000)).toBe(false);
  });

  it('frees space although the clock was ahead for a while and was set back', () => {
    const { cache, time } = makeCache(10);
    time.now = 9_000;
    cache.add('made ahead', 9_001);
    time.now = 9_002;
    cache.add('made ahead later', 9_003);
    time.now = 1_000;
    for (let i = 0; i < 8; i++) cache.add(`key ${i}`, 1_001);
    time.now = 1_002;
    expect(Array.from({ length: 8 }, (_, i) => cache.add(`next ${i}`, 1_003))).toEqual(Array(8).fill(true));
  });

  it('finds the free space, even if the expiry times are far apart', () => {
    const { cache, time } = makeCache(3);
    cache.add('a', 1_001);
    cache.add('b', 50_000);
    cache.add('c', 90_000);
    time.now = 60_000;
    expect([cache.add('d', 60_010), cache.add('e', 60_010)]).toEqual([true, true]);
    expect(() => cache.add('one too many', 60_010)).toThrow(FULL);
  });

  it('removes many expired records in small steps, and has space in the meantime', () => {
    const { cache, time } = makeCache(10_000);
    for (let i = 0; i < 10_000; i++) cache.add(`old ${i}`, 1_010);
    time.now = 1_011;
    let rejected = 0;
    for (let i = 0; i < 10_000; i++) {
      try {
        cache.add(`new ${i}`, 2_000);
      } catch {
        rejected++;
      }
    }
    expect(rejected).toBe(0);
    expect(() => cache.add('one too many', 2_000)).toThrow(FULL);
  });
});

type Step =
  | { readonly do: 'add'; readonly key: string; readonly lifetime: number }
  | { readonly do: 'has'; readonly key: string }
  | { readonly do: 'delete'; readonly key: string }
  | { readonly do: 'wait'; readonly seconds: number };

const key = fc.constantFrom(...Array.from('abcdefgh'));
/** Quarters of seconds, so that some expiry times are within a second and some at its edge. */
const quarters = (most: number): fc.Arbitrary<number> => fc.integer({ min: 1, max: most * 4 }).map((n) => n / 4);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('add' as const), key, lifetime: quarters(10) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('has' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: quarters(6) }) },
);

describe('any use of a replay cache', () => {
  it('has the same result as a list of all records', () => {
    const seen = { first: 0, again: 0, full: 0 };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 80 }), (maxEntries, steps) => {
        const { cache, time } = makeCache(maxEntries);
        const records: { key: string; until: number; isDeleted: boolean }[] = [];
        const isRecorded = (name: string): boolean =>
          records.some(({ key: each, until, isDeleted }) => each === name && until > time.now && !isDeleted);
        // A place is free again when its record is deleted, or at the end of the second in which it expires. Two records of
        // one key that expire in the same second share a place.
        const occupied = (): number => {
          const places = records.filter(({ until, isDeleted }) => !isDeleted && Math.ceil(until) > time.now);
          return new Set(places.map((place) => `${place.key} ${Math.ceil(place.until)}`)).size;
        };
        for (const each of steps) {
          if (each.do === 'wait') time.now += each.seconds;
          else if (each.do === 'has') expect(cache.has(each.key)).toBe(isRecorded(each.key));
          else if (each.do === 'delete') {
            cache.delete(each.key);
            const last = records.findLast((record) => record.key === each.key);
            for (const record of records) {
              const isSame = record.key === last?.key && Math.ceil(record.until) === Math.ceil(last.until);
              if (isSame) record.isDeleted = true;
            }
          } else {
            const until = time.now + each.lifetime;
            const add = (): boolean => cache.add(each.key, until);
            if (isRecorded(each.key)) {
              seen.again++;
              expect(add()).toBe(false);
            } else if (occupied() >= maxEntries) {
              seen.full++;
              expect(add).toThrow(FULL);
            } else {
              seen.first++;
              expect(add()).toBe(true);
              records.push({ key: each.key, until, isDeleted: false });
            }
          }
          for (const name of 'abcdefgh') expect(cache.has(name)).toBe(isRecorded(name));
          expect(Array.from('abcdefgh').filter(isRecorded).length).toBeLessThanOrEqual(maxEntries);
        }
      }),
      { numRuns: 500 },
    );
    // Otherwise the test would check little.
    expect(Math.min(seen.first, seen.again, seen.full)).toBeGreaterThan(100);
  });
});
