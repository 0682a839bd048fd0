import { group, type Rule, seconds } from '../options.js';
import { type CacheOptions, cacheRules } from './token-cache.js';

/** How results of the authorization server are cached. */
export interface IntrospectionCacheOptions extends CacheOptions {
  /** How long a positive result is cached at most; never past `exp`. Seconds, 1 to 86,400. @default 60 */
  maxAge?: number | undefined;
  /** How long a negative result is cached. Seconds, 0 (never) to 3,600. @default 10 */
  negativeMaxAge?: number | undefined;
}

const cacheGroup = group<IntrospectionCacheOptions>({
  ...cacheRules,
  negativeMaxAge: seconds(0, 3_600, 'Leave it out for 10; 0 turns it off.'),
});

export const introspectionCacheRule: Rule<IntrospectionCacheOptions | false> = {
  expected: `false, or ${cacheGroup.expected}`,
  fix: 'Leave it out to cache results for 60 seconds, or turn it off with false.',
  parse: (value, path) => (value === false ? false : cacheGroup.parse(value, path)),
};

/** With the defaults. */
export function readCache({ maxEntries = 10_000, maxAge = 60, negativeMaxAge = 10 }: IntrospectionCacheOptions): {
  maxEntries: number;
  maxAge: number;
  negativeMaxAge: number;
} {
  return { maxEntries, maxAge, negativeMaxAge };
}
