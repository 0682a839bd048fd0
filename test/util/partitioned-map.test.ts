import { describe, expect, it } from '@jest/globals';
import { PartitionedMap, partOf } from '../../lib/util/partitioned-map.js';

describe('a partitioned map', () => {
  it.each([1, 100_000])('is a map, with space for %d entries', (maxEntries) => {
    const map = new PartitionedMap<number>(maxEntries);
    const oracle = new Map<string, number>();
    for (let i = 0; i < 20_000; i++) {
      const key = `key ${(i * 7_919) % 3_001}`;
      if (i % 3 === 2) {
        map.delete(key);
        oracle.delete(key);
      } else {
        map.set(key, i);
        oracle.set(key, i);
      }
      expect(map.size).toBe(oracle.size);
    }
    for (let i = 0; i < 3_001; i++) expect(map.get(`key ${i}`)).toBe(oracle.get(`key ${i}`));
    map.clear();
    expect([map.size, map.get('key 1')]).toEqual([0, undefined]);
  });

  it('distributes keys evenly', () => {
    const parts = Array.from({ length: 64 }, () => ({ keys: 0 }));
    for (let i = 0; i < 64_000; i++) partOf(parts, `introspection:${i}`).keys++;
    const sizes = parts.map(({ keys }) => keys);
    expect(Math.min(...sizes)).toBeGreaterThan(700);
    expect(Math.max(...sizes)).toBeLessThan(1_300);
  });
});
