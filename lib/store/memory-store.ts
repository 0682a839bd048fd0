import { clockRule, count, readOptions, type Rules } from '../options.js';
import { ReplayCache } from './replay-cache.js';
import { type Clock, systemClock } from '../util/clock.js';
import { BoundedCache } from '../util/bounded-cache.js';
import type { Store } from './store.js';

/** What `memoryStore` takes. */
export interface MemoryStoreOptions {
  /**
   * How many values it holds at most, and how many claims. Beyond that, values that were not used lately go; claims never
   * go before their time, and `add` rejects. 1 to 1,000,000. @default 100000
   */
  maxEntries?: number | undefined;
  /** Seconds since the epoch. @default the system clock */
  clock?: Clock | undefined;
}

const rules: Rules<MemoryStoreOptions> = {
  maxEntries: count('entries', 1, 1_000_000, 'Leave it out for 100000.'),
  clock: clockRule,
};

/**
 * A store within the process, on node-cache: for one process, and for tests.
 *
 * @throws ConfigurationError for an option that is unknown or wrong.
 */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  const { maxEntries = 100_000, clock: now = systemClock } = readOptions<MemoryStoreOptions>(
    'memoryStore',
    options,
    rules,
  );
  const memory = new BoundedCache<string>({ maxEntries, clock: now });
  const claims = new ReplayCache({ maxEntries, clock: now });
  return {
    // RefreshingResource as JSON, so that nobody can change what another has stored, and as any other store would give it back.
    get: (key) =>
      attempt(() => {
        const json = memory.get(key) ?? (claims.has(key) ? '1' : undefined);
        return json === undefined ? undefined : (JSON.parse(json) as unknown);
      }),
    set: (key, value, lifetime) =>
      attempt(() => {
        memory.set(key, JSON.stringify(value), now() + lifetime);
      }),
    add: (key, lifetime) => attempt(() => memory.get(key) === undefined && claims.add(key, now() + lifetime)),
    delete: (key) =>
      attempt(() => {
        memory.delete(key);
        claims.delete(key);
      }),
  };
}

// What throws is a rejection, as it is of any other store.
function attempt<T>(run: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(run());
  });
}
