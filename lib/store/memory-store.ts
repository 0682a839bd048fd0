import { count, readOptions, type Rules } from '../options.js';
import { BoundedMemory } from './memory.js';
import type { Store } from './store.js';

/** What `memoryStore` takes. */
export interface MemoryStoreOptions {
  /** How many entries it holds at most; beyond that the least used go. 1 to 1,000,000. @default 100000 */
  maxEntries?: number;
}

const rules: Rules<MemoryStoreOptions> = {
  maxEntries: count('entries', 1, 1_000_000, 'Leave it out for 100000.'),
};

/**
 * A store within the process, on node-cache: for one process, and for tests.
 *
 * @throws ConfigurationError for an option that is unknown or wrong.
 */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  const { maxEntries = 100_000 } = readOptions<MemoryStoreOptions>('memoryStore', options, rules);
  const now = (): number => Date.now() / 1000;
  const memory = new BoundedMemory<string>({ maxEntries, clock: now });
  return {
    // Kept as JSON, so that nobody can change what another has stored, and as any other store would give it back.
    get: (key) => {
      const json = memory.get(key);
      return Promise.resolve(json === undefined ? undefined : (JSON.parse(json) as unknown));
    },
    set: (key, value, lifetime) => {
      memory.set(key, JSON.stringify(value), now() + lifetime);
      return Promise.resolve();
    },
    add: (key, lifetime) => {
      const isFirst = memory.get(key) === undefined;
      if (isFirst) memory.set(key, '1', now() + lifetime);
      return Promise.resolve(isFirst);
    },
    delete: (key) => {
      memory.delete(key);
      return Promise.resolve();
    },
  };
}
