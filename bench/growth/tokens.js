/** The number of distinct tokens, in turn. The cache has its default size of 10,000 tokens. */
import { grow } from '../harness/grow.js';

export const title = 'Distinct tokens in turn';

const CACHE_ENTRIES = 10_000;

export function run(plan) {
  const points = plan.distinctTokens.map((size) => {
    // Twice each, because a cache may ignore tokens that come only once. With more tokens than the cache holds, none
    // returns before it is dropped, so it is sufficient to send as many as fill the cache.
    const warmUp = Math.max(plan.warmUp, Math.min(2 * size, CACHE_ENTRIES * 1.2));
    const isCached = size <= CACHE_ENTRIES;
    return {
      label: size.toLocaleString('en-US'),
      x: size,
      kinds: ['cached'],
      count: isCached ? size : warmUp + plan.requests,
      warmUp: isCached ? Math.max(plan.warmUp, 2 * size) : warmUp,
    };
  });
  return grow(plan, points);
}
