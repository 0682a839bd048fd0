import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ReplayCache } from '../../lib/store/replay-cache.js';

const FULL = 'the store is full';

function makeMemory(maxEntries = 1_000) {
  const time = { now: 1_000 };
  return { time, memory: new ReplayCache({ maxEntries, clock: () => time.now }) };
}

describe('a memory of claims', () => {
  it('lets a key be claimed once', () => {
    const { memory } = makeMemory();
    expect([memory.add('a', 1_010), memory.add('a', 1_010), memory.add('b', 1_010)]).toEqual([true, false, true]);
  });

  it('does not let a second claim make the first one longer', () => {
    const { memory, time } = makeMemory();
    memory.add('a', 1_010);
    expect(memory.add('a', 1_100)).toBe(false);
    time.now = 1_010;
    expect([memory.has('a'), memory.add('a', 1_100)]).toEqual([false, true]);
  });

  it.each([1_000.001, 1_009.9, 1_010, 1_010.001])('keeps a claim until %d and no longer', (until) => {
    const { memory, time } = makeMemory();
    memory.add('a', until);
    time.now = until - 0.0005;
    expect([memory.has('a'), memory.add('a', until + 5)]).toEqual([true, false]);
    time.now = until;
    expect([memory.has('a'), memory.add('a', until + 5)]).toEqual([false, true]);
  });

  it('keeps a claim that was made anew when the time of the first is swept away', () => {
    const { memory, time } = makeMemory();
    memory.add('a', 1_000.2);
    time.now = 1_000.5;
    memory.add('a', 1_050);
    time.now = 1_001;
    memory.add('b', 1_050);
    expect([memory.has('a'), memory.add('a', 1_060)]).toEqual([true, false]);
  });

  it('throws when it is full, keeps what it has, and takes more when time has made room', () => {
    const { memory, time } = makeMemory(3);
    for (const key of ['a', 'b', 'c']) memory.add(key, 1_010);
    for (let i = 0; i < 100; i++) expect(() => memory.add(`x${i}`, 1_010)).toThrow(FULL);
    expect(['a', 'b', 'c'].map((key) => memory.add(key, 1_010))).toEqual([false, false, false]);
    expect(memory.has('x0')).toBe(false);
    time.now = 1_010;
    expect(['d', 'e', 'f'].map((key) => memory.add(key, 1_020))).toEqual([true, true, true]);
    expect(() => memory.add('g', 1_020)).toThrow(FULL);
  });

  it('drops a claim when told', () => {
    const { memory } = makeMemory();
    memory.add('a', 1_010);
    memory.delete('a');
    memory.delete('never claimed');
    expect([memory.has('a'), memory.add('a', 1_010), memory.add('a', 1_010)]).toEqual([false, true, false]);
  });

  it('has room again for each claim that is dropped, however often', () => {
    const { memory, time } = makeMemory(2);
    memory.add('kept', 1_500);
    for (let i = 0; i < 10_000; i++) {
      expect(memory.add(`key ${i % 3}`, 1_010 + (i % 500))).toBe(true);
      memory.delete(`key ${i % 3}`);
    }
    expect([memory.add('a', 1_010), memory.has('kept')]).toEqual([true, true]);
    expect(() => memory.add('one too many', 1_010)).toThrow(FULL);
    time.now = 1_600;
    expect([memory.add('b', 1_700), memory.add('c', 1_700)]).toEqual([true, true]);
    expect(() => memory.add('one too many', 1_700)).toThrow(FULL);
  });

  it('counts a claim that was dropped after it ended once', () => {
    const { memory, time } = makeMemory(2);
    memory.add('a', 1_010);
    memory.add('b', 1_500);
    time.now = 1_011;
    memory.delete('a');
    expect(memory.add('a', 1_020)).toBe(true);
    expect(() => memory.add('one too many', 1_020)).toThrow(FULL);
  });

  it.each(['__proto__', 'constructor', '', ' ', '0'])('takes a key such as %j for a key', (key) => {
    const { memory } = makeMemory();
    expect([memory.has(key), memory.add(key, 1_010), memory.add(key, 1_010)]).toEqual([false, true, false]);
  });

  it('takes many ends, each of another second', () => {
    // `memoryStore` takes up to a million claims, and whoever uses it chooses how long they last.
    const { memory, time } = makeMemory(1_000_000);
    for (let i = 0; i < 200_000; i++) memory.add(`key ${i}`, 2_000 + i);
    time.now = 2_001;
    expect(memory.add('another', 3_000_000)).toBe(true);
    expect(memory.add('another', 3_000_000)).toBe(false);
  });

  it('frees room by a clock that was ahead for a while and put back', () => {
    const { memory, time } = makeMemory(10);
    time.now = 9_000;
    memory.add('made ahead', 9_001);
    time.now = 9_002;
    memory.add('made ahead later', 9_003);
    time.now = 1_000;
    for (let i = 0; i < 8; i++) memory.add(`key ${i}`, 1_001);
    time.now = 1_002;
    expect(Array.from({ length: 8 }, (_, i) => memory.add(`next ${i}`, 1_003))).toEqual(Array(8).fill(true));
  });

  it('finds the room that is there, however far apart the ends are', () => {
    const { memory, time } = makeMemory(3);
    memory.add('a', 1_001);
    memory.add('b', 50_000);
    memory.add('c', 90_000);
    time.now = 60_000;
    expect([memory.add('d', 60_010), memory.add('e', 60_010)]).toEqual([true, true]);
    expect(() => memory.add('one too many', 60_010)).toThrow(FULL);
  });

  it('clears away a crowd a little with each addition, and room is there all the same', () => {
    const { memory, time } = makeMemory(10_000);
    for (let i = 0; i < 10_000; i++) memory.add(`old ${i}`, 1_010);
    time.now = 1_011;
    let refused = 0;
    for (let i = 0; i < 10_000; i++) {
      try {
        memory.add(`new ${i}`, 2_000);
      } catch {
        refused++;
      }
    }
    expect(refused).toBe(0);
    expect(() => memory.add('one too many', 2_000)).toThrow(FULL);
  });
});

type Step =
  | { readonly do: 'add'; readonly key: string; readonly lifetime: number }
  | { readonly do: 'has'; readonly key: string }
  | { readonly do: 'delete'; readonly key: string }
  | { readonly do: 'wait'; readonly seconds: number };

const key = fc.constantFrom(...Array.from('abcdefgh'));
/** Quarters of seconds, so that there are ends within one and at its edge. */
const quarters = (most: number): fc.Arbitrary<number> => fc.integer({ min: 1, max: most * 4 }).map((n) => n / 4);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('add' as const), key, lifetime: quarters(10) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('has' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: quarters(6) }) },
);

describe('any use of a memory of claims', () => {
  it('comes to what a list of all claims says', () => {
    const seen = { first: 0, again: 0, full: 0 };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 80 }), (maxEntries, steps) => {
        const { memory, time } = makeMemory(maxEntries);
        const claims: { key: string; until: number; isDropped: boolean }[] = [];
        const isHeld = (name: string): boolean =>
          claims.some(({ key: each, until, isDropped }) => each === name && until > time.now && !isDropped);
        // A place is free again when its claim is dropped, or at the turn of the second in which it ends. Two claims of one
        // key that end in the same second share a place.
        const taken = (): number => {
          const places = claims.filter(({ until, isDropped }) => !isDropped && Math.ceil(until) > time.now);
          return new Set(places.map((place) => `${place.key} ${Math.ceil(place.until)}`)).size;
        };
        for (const each of steps) {
          if (each.do === 'wait') time.now += each.seconds;
          else if (each.do === 'has') expect(memory.has(each.key)).toBe(isHeld(each.key));
          else if (each.do === 'delete') {
            memory.delete(each.key);
            const last = claims.findLast((claim) => claim.key === each.key);
            for (const claim of claims) {
              const isSame = claim.key === last?.key && Math.ceil(claim.until) === Math.ceil(last.until);
              if (isSame) claim.isDropped = true;
            }
          } else {
            const until = time.now + each.lifetime;
            const add = (): boolean => memory.add(each.key, until);
            if (isHeld(each.key)) {
              seen.again++;
              expect(add()).toBe(false);
            } else if (taken() >= maxEntries) {
              seen.full++;
              expect(add).toThrow(FULL);
            } else {
              seen.first++;
              expect(add()).toBe(true);
              claims.push({ key: each.key, until, isDropped: false });
            }
          }
          for (const name of 'abcdefgh') expect(memory.has(name)).toBe(isHeld(name));
          expect(Array.from('abcdefgh').filter(isHeld).length).toBeLessThanOrEqual(maxEntries);
        }
      }),
      { numRuns: 500 },
    );
    // Else it would say little.
    expect(Math.min(seen.first, seen.again, seen.full)).toBeGreaterThan(100);
  });
});
