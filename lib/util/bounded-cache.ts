import NodeCache from 'node-cache';

interface Entry<V> {
  readonly value: V;
  /** By the clock of the cache. */
  readonly until: number;
  isUsed: boolean;
}

/**
 * A cache with a maximum number of entries. node-cache stores the entries but does not evict, so this class evicts with
 * the clock algorithm: a hand moves over the slots, skips each entry that was used since the last visit once, and evicts
 * the first one that was not used or has expired. Entries in use survive a flood of entries that are read never.
 */
export class BoundedCache<V> {
  // No clones, because values are frozen. No timer, because expiry follows the configured clock.
  readonly #entries = new NodeCache({ useClones: false, checkperiod: 0 });
  readonly #slots: string[] = [];
  readonly #maxEntries: number;
  readonly #clock: () => number;
  #hand = 0;

  constructor(options: { maxEntries: number; clock: () => number }) {
    this.#maxEntries = options.maxEntries;
    this.#clock = options.clock;
  }

  get size(): number {
    return this.#entries.getStats().keys;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get<Entry<V>>(key);
    if (entry === undefined) return undefined;
    if (entry.until <= this.#clock()) {
      this.#entries.del(key);
      return undefined;
    }
    entry.isUsed = true;
    return entry.value;
  }

  /** Stores a value until a time of the clock of the cache. If that time is over, deletes the key. */
  set(key: string, value: V, until: number): void {
    if (until <= this.#clock()) {
      this.#entries.del(key);
      return;
    }
    if (!this.#entries.has(key)) this.#slots[this.#freeSlot()] = key;
    this.#entries.set<Entry<V>>(key, { value, until, isUsed: false });
  }

  delete(key: string): void {
    this.#entries.del(key);
  }

  clear(): void {
    this.#entries.flushAll();
    this.#slots.length = 0;
    this.#hand = 0;
  }

  #freeSlot(): number {
    if (this.#slots.length < this.#maxEntries) return this.#slots.length;
    for (;;) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#maxEntries;
      const key = this.#slots[slot] ?? '';
      const entry = this.#entries.get<Entry<V>>(key);
      if (entry?.isUsed === true && entry.until > this.#clock()) {
        entry.isUsed = false;
        continue;
      }
      this.#entries.del(key);
      return slot;
    }
  }
}
