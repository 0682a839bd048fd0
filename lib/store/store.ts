import type { Rule } from '../options.js';
import { isPlainObject } from '../util/is-plain-object.js';

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
    if (!isPlainObject(value)) return undefined;
    return STORE_METHODS.every((name) => typeof value[name] === 'function') ? (value as unknown as Store) : undefined;
  },
};
