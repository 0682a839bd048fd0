interface Entry<V> {
  readonly value: V;
  /** By the clock of the cache. */
  readonly until: number;
  isUsed: boolean;
}

/**
 * A cache with a maximum number of entries. It evicts with the clock algorithm: a hand moves over the slots, skips each
 * entry that was used since the last visit once, and evicts the first one that was not used or has expired. Entries in use
 * survive a flood of entries that are read never. Every request reads one, so it is a `Map`, and not node-cache.
 */
export class BoundedCache<V> {
  readonly #entries = new Map<string, Entry<V>>();
  readonly #slots: string[] = [];
  readonly #maxEntries: number;
  readonly #clock: () => number;
  #hand = 0;

  constructor(options: { maxEntries: number; clock: () => number }) {
    this.#maxEntries = options.maxEntries;
    this.#clock = options.clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.until <= this.#clock()) {
      this.#entries.delete(key);
      return undefined;
    }
    entry.isUsed = true;
    return entry.value;
  }

  /** Stores a value until a time of the clock of the cache. If that time is over, deletes the key. */
  set(key: string, value: V, until: number): void {
    if (until <= this.#clock()) {
      this.#entries.delete(key);
      return;
    }
    if (!this.#entries.has(key)) this.#slots[this.#freeSlot()] = key;
    this.#entries.set(key, { value, until, isUsed: false });
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#slots.length = 0;
    this.#hand = 0;
  }

  #freeSlot(): number {
    if (this.#slots.length < this.#maxEntries) return this.#slots.length;
    for (;;) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#maxEntries;
      const key = this.#slots[slot] ?? '';
      const entry = this.#entries.get(key);
      if (entry?.isUsed === true && entry.until > this.#clock()) {
        entry.isUsed = false;
        continue;
      }
      this.#entries.delete(key);
      return slot;
    }
  }
}
