import type { Rule } from '../options.js';

/**
 * Where things are remembered that several processes share, or that outlive one. Keys are printable ASCII without
 * anything secret in them; values are what JSON can hold. Whoever can write to a store is believed as much as this
 * process believes itself.
 */
export interface Store {
  /** The value, or `undefined` where there is none or its lifetime is over. */
  get(key: string): Promise<unknown>;
  /** Remembers a value. The lifetime is in seconds, above 0. */
  set(key: string, value: unknown, lifetime: number): Promise<void>;
  /** Claims a key for that many seconds: `true` for the first who does, `false` for all who come after. Atomic. */
  add(key: string, lifetime: number): Promise<boolean>;
  /** Drops a value; one that is not there is no failure. */
  delete(key: string): Promise<void>;
}

const STORE_METHODS = ['get', 'set', 'add', 'delete'] as const;

export const storeRule: Rule<Store> = {
  expected: `a Store: an object with the functions ${STORE_METHODS.join(', ')}`,
  fix: 'See the type Store for what each of them does.',
  parse: (value) => {
    if (typeof value !== 'object' || value === null) return undefined;
    const members = value as Record<string, unknown>;
    return STORE_METHODS.every((name) => typeof members[name] === 'function') ? (value as Store) : undefined;
  },
};
