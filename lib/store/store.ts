import type { Rule } from '../options.js';
import { isPlainObject } from '../util/is-plain-object.js';

/**
 * Stores data that several processes share, or that survives a restart. Keys are printable ASCII and contain no secret;
 * values are JSON. Everybody who can write to a store is trusted like this process.
 */
export interface Store {
  /** Returns the value, or `undefined` if there is none or its lifetime is over. */
  get(key: string): Promise<unknown>;
  /** Stores a value. The lifetime is in seconds, above 0. */
  set(key: string, value: unknown, lifetime: number): Promise<void>;
  /** Records a key for a lifetime in seconds: `true` for the first caller, `false` for all others. Must be atomic. */
  add(key: string, lifetime: number): Promise<boolean>;
  /** Deletes a value. A missing value is not an error. */
  delete(key: string): Promise<void>;
}

const STORE_METHODS = ['get', 'set', 'add', 'delete'] as const;

export const storeRule: Rule<Store> = {
  expected: `a Store: an object with the functions ${STORE_METHODS.join(', ')}`,
  fix: 'The type Store documents each of them.',
  hint: (value) =>
    isPlainObject(value) && (typeof value.sendCommand === 'function' || typeof value.call === 'function')
      ? 'Pass redisStore(client): this is a client of Redis.'
      : undefined,
  parse: (value) => {
    if (!isPlainObject(value)) return undefined;
    return STORE_METHODS.every((name) => typeof value[name] === 'function') ? (value as unknown as Store) : undefined;
  },
};

/** Reads a value of a store; `null` counts as none. */
export async function readFrom(store: Store, key: string): Promise<unknown> {
  return (await store.get(key)) ?? undefined;
}

/** Records a key in a store. @throws TypeError if the store does not say whether this caller is the first. */
export async function recordIn(store: Store, key: string, lifetime: number): Promise<boolean> {
  const isFirst: unknown = await store.add(key, lifetime);
  if (typeof isFirst !== 'boolean') throw new TypeError('add() of the store did not return true or false');
  return isFirst;
}
