import { describe, expect, it } from '@jest/globals';
import { BoundedCache } from '../../lib/util/bounded-cache.js';

/** The keys are one character; an entry without a size uses 129 bytes. */
function makeCache(options: { maxEntries?: number; maxBytes?: number } = {}) {
  const time = { now: 0 };
  const cache = new BoundedCache<number>({ maxEntries: 1_000, clock: () => time.now, ...options });
  const store = (keys: string, size = 0): void => {
    for (const key of keys) cache.set(key, 1, 100, size);
  };
  const has = (keys: string): boolean[] => Array.from(keys).map((key) => cache.get(key) !== undefined);
  return { time, cache, store, has };
}

describe('a full cache', () => {
  it('evicts the oldest entry that was not used', () => {
    const { store, has, cache } = makeCache({ maxEntries: 3 });
    store('abc');
    cache.get('a');
    store('d');
    expect(cache.size).toBe(3);
    expect(has('abcd')).toEqual([true, false, true, true]);
  });

  it('keeps entries in use during a flood of entries that are never read', () => {
    const { store, has, cache } = makeCache({ maxEntries: 10 });
    store('abc');
    for (let i = 0; i < 1_000; i++) {
      cache.set(`flood ${i}`, 1, 100);
      if (i % 3 === 0) expect(has('abc')).toEqual([true, true, true]);
    }
    expect(cache.size).toBe(10);
  });

  it('keeps a new entry for about as long as others', () => {
    const { store, has } = makeCache({ maxEntries: 4 });
    store('abcdefghij');
    expect(has('ghij')).toEqual([true, true, true, true]);
    store('k');
    store('l');
    expect(has('kl')).toEqual([true, true]);
  });

  it('evicts expired entries that were used', () => {
    const { store, has, cache, time } = makeCache({ maxEntries: 2 });
    cache.set('a', 1, 10);
    cache.get('a');
    store('b');
    time.now = 10;
    store('c');
    expect(has('bc')).toEqual([true, true]);
  });
});

describe('bytes', () => {
  it('evict entries, as many as necessary', () => {
    const { store, has } = makeCache({ maxBytes: 1_000 });
    store('abcdef');
    expect(has('abcdef')).toEqual(Array(6).fill(true));
    store('g', 600);
    expect(has('g')).toEqual([true]);
    expect(has('abcdef').filter(Boolean)).toHaveLength(2);
  });

  it('of a value that is larger than the cache evict nothing, and the value is not cached', () => {
    const { store, has } = makeCache({ maxBytes: 1_000 });
    store('abc');
    store('d', 1_000);
    expect(has('abcd')).toEqual([true, true, true, false]);
    store('a', 1_000);
    expect(has('a')).toEqual([false]);
  });

  it('are free again after a deletion, an expiry, a replacement and a clear', () => {
    const { store, has, cache, time } = makeCache({ maxBytes: 1_000 });
    for (let i = 0; i < 10; i++) store('a', 800);
    cache.delete('a');
    cache.set('b', 1, 10, 800);
    time.now = 10;
    expect(cache.get('b')).toBeUndefined();
    store('c', 800);
    cache.clear();
    store('def', 150);
    expect(has('def')).toEqual([true, true, true]);
  });

  it('and entries stay within their limits in any order of calls', () => {
    const { cache } = makeCache({ maxEntries: 20, maxBytes: 5_000 });
    let state = 1;
    const random = (below: number): number => {
      state = (state * 48_271) % 2_147_483_647;
      return state % below;
    };
    const sizes = new Map<string, number>();
    for (let i = 0; i < 20_000; i++) {
      const key = String(random(60));
      const action = random(10);
      if (action === 0) cache.delete(key);
      else if (action < 5) cache.get(key);
      else {
        const size = random(900);
        cache.set(key, size, 100, size);
        sizes.set(key, size);
      }
      expect(cache.size).toBeLessThanOrEqual(20);
    }
    const left = [...sizes.keys()].filter((key) => cache.get(key) !== undefined);
    expect(left).toHaveLength(cache.size);
    expect(left.reduce((sum, key) => sum + (cache.get(key) ?? 0) + 128 + key.length, 0)).toBeLessThanOrEqual(5_000);
    for (const key of left) expect(cache.get(key)).toBe(sizes.get(key));
  });
});
