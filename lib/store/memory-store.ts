import { clockRule, count, readOptions, type Rules } from '../options.js';
import { BoundedCache } from '../util/bounded-cache.js';
import { ageClockOf, resultClockOf, systemClock } from '../util/clock.js';
import { ReplayCache } from './replay-cache.js';
import type { Store } from './store.js';

/** Options of `memoryStore`. */
export interface MemoryStoreOptions {
  /**
   * Maximum number of values, and of recorded keys. When the store is full, a value that was not used recently is evicted.
   * A recorded key is never evicted before its time: `add` rejects instead. 1 to 1,000,000. @default 100000
   */
  maxEntries?: number | undefined;
  /**
   * Maximum size of all values in memory, estimated. A value that is larger than that is an error. Bytes, 1,024 to
   * 1,073,741,824. @default 67108864
   */
  maxBytes?: number | undefined;
  /** Measures lifetimes. Returns seconds. @default a monotonic clock: nothing lives longer if somebody sets the system clock back */
  clock?: (() => number) | undefined;
}

const rules: Rules<MemoryStoreOptions> = {
  maxEntries: count('entries', 1, 1_000_000, 'Leave it out for 100000.'),
  maxBytes: count('bytes', 1_024, 1_073_741_824, 'Leave it out for 67108864.'),
  clock: clockRule,
};

/** What V8 needs for a text with any character that is not in Latin-1. */
const BYTES_PER_CHARACTER = 2;

/**
 * A store in the memory of this process, for one process and for tests.
 *
 * @throws ConfigurationError for an option that is unknown or wrong.
 */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  const given = readOptions<MemoryStoreOptions>('memoryStore', options, rules);
  const { maxEntries = 100_000, maxBytes = 67_108_864 } = given;
  const resultClock = resultClockOf(given.clock ?? systemClock);
  // A recorded proof must not be usable again because somebody sets the system clock forward and back.
  const clock = ageClockOf(given.clock ?? systemClock);
  const values = new BoundedCache<string>({ maxEntries, maxBytes, clock: resultClock });
  const recorded = new ReplayCache({ maxEntries, clock });
  return {
    // Stored as JSON, so that callers cannot change each other's values, and values come back as from any other store.
    get: (key) =>
      attempt(() => {
        const json = values.get(key) ?? (recorded.has(key) ? '1' : undefined);
        return json === undefined ? undefined : (JSON.parse(json) as unknown);
      }),
    set: (key, value, lifetime) =>
      attempt(() => {
        const json = JSON.stringify(value);
        if (!values.set(key, json, resultClock() + lifetime, BYTES_PER_CHARACTER * json.length))
          throw new RangeError(`the value is larger than maxBytes of the memoryStore: ${maxBytes} bytes`);
      }),
    add: (key, lifetime) => attempt(() => values.get(key) === undefined && recorded.add(key, clock() + lifetime)),
    delete: (key) =>
      attempt(() => {
        values.delete(key);
        recorded.delete(key);
      }),
  };
}

// An exception becomes a rejection, as with any other store.
function attempt<T>(run: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(run());
  });
}
