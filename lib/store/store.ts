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
